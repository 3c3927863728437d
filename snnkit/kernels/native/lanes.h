/* Vectors of LANES floats, float32 or bfloat16 in memory: as many as a register of the target processor holds. GCC keeps
 * larger vectors in memory, which takes three times as long. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define INLINE static inline __attribute__((always_inline)) /* constant arguments specialise the code */

typedef int64_t size;
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t bits __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES), aligned(2)));

size snn_lanes(void) { return LANES; }

static inline size least(size a, size b) { return a < b ? a : b; }

/* The same vectors in memory, where they may be parts of any array. GCC copies them through a register of half their
 * size if they are read with memcpy, and then waits for the copy. */
typedef lanes lanes_in_memory __attribute__((may_alias, aligned(4)));
typedef halves halves_in_memory __attribute__((may_alias, aligned(2)));

static inline lanes load(const float *from) { return *(const lanes_in_memory *)from; }

static inline lanes all(float value) { return (lanes){0} + value; }

/* `value` in the lanes where `where` is true, 0 in the others. */
static inline lanes only(bits where, lanes value) { return (lanes)((bits)value & where); }

static inline lanes either(bits where, lanes yes, lanes no) { return (lanes)(((bits)yes & where) | ((bits)no & ~where)); }

/* Read `n` elements from index `at`; the other lanes are 0. */
INLINE lanes read(const void *from, size at, size n, size bf16) {
    lanes value = {0};
    if (bf16) {
        halves half = {0};
        if (n == LANES)
            half = *(const halves_in_memory *)((const uint16_t *)from + at);
        else
            memcpy(&half, (const uint16_t *)from + at, n * sizeof(uint16_t));
        return (lanes)(__builtin_convertvector(half, words) << 16);
    }
    if (n == LANES)
        value = *(const lanes_in_memory *)((const float *)from + at);
    else
        memcpy(&value, (const float *)from + at, n * sizeof(float));
    return value;
}

/* Write `n` elements at index `at`. bfloat16 rounds to nearest, ties to even; NaN stays NaN. */
INLINE void write(void *to, size at, lanes value, size n, size bf16) {
    if (bf16) {
        words word = (words)value, rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16, nan = {0};
        words is_nan = (words)(value != value);
        halves half = __builtin_convertvector((rounded & ~is_nan) | ((nan + 0x7fc0) & is_nan), halves);
        if (n == LANES)
            *(halves_in_memory *)((uint16_t *)to + at) = half;
        else
            memcpy((uint16_t *)to + at, &half, n * sizeof(uint16_t));
    } else if (n == LANES) {
        *(lanes_in_memory *)((float *)to + at) = value;
    } else {
        memcpy((float *)to + at, &value, n * sizeof(float));
    }
}

/* Write 1 in the lanes where `fired` is true, 0 in the others. */
INLINE void write_spikes(void *to, size at, bits fired, size n, size bf16) {
    if (bf16 && n == LANES) {
        *(halves_in_memory *)((uint16_t *)to + at) = __builtin_convertvector((words)fired & 0x3f80, halves); /* 1 */
    } else {
        write(to, at, only(fired, all(1)), n, bf16);
    }
}
