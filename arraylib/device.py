"""The devices that arrays live on: this process's CPU, as many as `config.num_cpu_devices` says."""


from arraylib.config import config
from arraylib.errors import ArgumentError, mistake
from arraylib.record import record


@record
class Device:
    """Where arrays live and programs run."""

    id: int = 0
    platform: str = "cpu"
    process_index: int = 0

    @property
    def device_kind(self) -> str:
        """The model of the device; for the CPU its platform's name."""
        return self.platform

    def __repr__(self) -> str:
        return f"{self.platform.capitalize()}Device(id={self.id})"

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"


CPU = Device()


def devices(backend: str | None = None) -> list[Device]:
    """All devices, of one platform if `backend` names one.

    >>> arraylib.devices()
    [CpuDevice(id=0)]
    """
    if backend in (None, "cpu"):
        return [CPU, *map(Device, range(1, config.num_cpu_devices))]
    raise mistake(ArgumentError, "devices", f"there are no devices of the platform {backend!r}",
                  hint="devices() or devices('cpu')")


def check_device(op: str, device: Device | None) -> None:
    """ArgumentError unless `device` is None or the one where arrays are made, or its sharding."""
    if device is not None and device != CPU and getattr(device, "device_set", None) != {CPU}:
        raise mistake(ArgumentError, op, f"{device!r} is not the device where arrays are made",
                      hint=f"{CPU!r}, or device_put(x, ...) for another or for a sharding")


def local_devices(process_index: int | None = None, backend: str | None = None) -> list[Device]:
    """The devices of this process.

    >>> arraylib.local_devices()
    [CpuDevice(id=0)]
    """
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are.

    >>> arraylib.device_count()
    1
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices this process has.

    >>> arraylib.local_device_count()
    1
    """
    return len(devices(backend))


def process_count() -> int:
    """How many processes work together: one.

    >>> arraylib.process_count()
    1
    """
    return 1


def process_index() -> int:
    """The number of this process among those that work together.

    >>> arraylib.process_index()
    0
    """
    return 0


def default_backend() -> str:
    """The platform that programs run on.

    >>> arraylib.default_backend()
    'cpu'
    """
    return CPU.platform
