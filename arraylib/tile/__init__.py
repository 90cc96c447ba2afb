"""The kernel IR: loops, loads and stores over flat memory, and its interpreter."""
