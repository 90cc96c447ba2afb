#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
typedef float v16 __attribute__((vector_size(64)));
#define PARALLEL _Pragma("omp parallel")
#define LOOP _Pragma("omp parallel for simd schedule(static)")

// Twelve independent chains hide the latency of a multiply-add.
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define START(j) v16 a##j = x * (float)j;
#define FMA(j) a##j = a##j * y + x;
#define DOT(j) a##j = (v16)_mm512_dpbf16_ps((__m512)a##j, z, z);
#define KEEP(j) __asm__ volatile("" :: "v"(a##j));
#define PEAK(STEP, operations) \
    long threads = 0; \
    PARALLEL { \
        v16 x = {1.0f}, y = {0.5f}; \
        EACH(START) \
        for (long i = 0; i < n; i++) { EACH(STEP) } \
        EACH(KEEP) \
        __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED); \
    } \
    return (double)operations * 16 * 12 * n * threads;

double fma_peak(long n) { PEAK(FMA, 2) }
#ifdef __AVX512BF16__
double bf16_peak(long n) { __m512bh z = (__m512bh)_mm512_set1_epi16(0x3f80); PEAK(DOT, 4) }
#else
double bf16_peak(long n) { return fma_peak(n); }
#endif
double copy(float *a, float *b, float *c, long n) { LOOP for (long i = 0; i < n; i++) a[i] = b[i] + 1; return 8.0 * n; }
double triad(float *a, float *b, float *c, long n) {
    LOOP for (long i = 0; i < n; i++) a[i] = b[i] + 3 * c[i];
    return 12.0 * n;
}
double stream(float *a, float *b, float *c, long n) {  // triad with stores that bypass the cache
    _Pragma("omp parallel for schedule(static)")
    for (long i = 0; i < n; i += 4)
        _mm_stream_ps(a + i, _mm_add_ps(_mm_load_ps(b + i), _mm_mul_ps(_mm_set1_ps(3), _mm_load_ps(c + i))));
    return 12.0 * n;
}
double read(float *a, float *b, float *c, long n) {
    float s = 0;
    _Pragma("omp parallel for simd reduction(+:s) schedule(static)") for (long i = 0; i < n; i++) s += b[i];
    a[0] = s;
    return 4.0 * n;
}
static double touch(long n, int huge) {  // write memory fresh from the system, then give it back
    size_t size = 4 * n + (2 << 20);
    char *fresh = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    float *p = (float *)(((size_t)fresh + (2 << 20) - 1) & ~(((size_t)2 << 20) - 1));
    if (huge) madvise(p, 4 * n, MADV_HUGEPAGE);
    LOOP for (long i = 0; i < n; i++) p[i] = 1;
    munmap(fresh, size);
    return 4.0 * n;
}
double first_touch(float *a, float *b, float *c, long n) { return touch(n, 0); }
double first_touch_huge_pages(float *a, float *b, float *c, long n) { return touch(n, 1); }
double exps(float *a, float *b, float *c, long n) {  // on 4096 values a core, in the first-level cache
    long threads = 0;
    PARALLEL {
        float x[4096], y[4096];
        for (int i = 0; i < 4096; i++) x[i] = b[i];
        for (long k = 0; k < n; k++) {
            for (int i = 0; i < 4096; i++) y[i] = expf(x[i]);
            __asm__ volatile("" :: "r"(y) : "memory");
        }
        __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    }
    return 4096.0 * n * threads;
}
#define TURN(x, r) ((x) << (r) | (x) >> (32 - (r)))
#define ROUND(r) p += q, q = TURN(q, r) ^ p;
#define FOUR(a, b, c, d, i) ROUND(a) ROUND(b) ROUND(c) ROUND(d) p += key[i % 3], q += key[(i + 1) % 3] + i;
double threefry(float *a, float *b, float *c, long n) {  // words of 4096 counters a core, as JAX makes them
    long threads = 0;
    PARALLEL {
        unsigned y[4096], first = 7 + n, key[3] = {first, 9, first ^ 9 ^ 0x1bd11bda};
        for (long k = 0; k < n; k++) {
            for (unsigned i = 0; i < 4096; i++) {
                unsigned p = key[0], q = key[1] + i;
                FOUR(13, 15, 26, 6, 1) FOUR(17, 29, 16, 24, 2) FOUR(13, 15, 26, 6, 3)
                FOUR(17, 29, 16, 24, 4) FOUR(13, 15, 26, 6, 5)
                y[i] = p ^ q;
            }
            __asm__ volatile("" :: "r"(y) : "memory");
        }
        __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    }
    return 4096.0 * n * threads;
}
