#include "outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "buffer.h"

void samples_add(struct samples *samples, double seconds) {
    if (samples->size == samples->capacity) {
        samples->capacity = samples->capacity ? 2 * samples->capacity : 4096;
        samples->values = resize(samples->values, samples->capacity * sizeof(float));
    }
    samples->values[samples->size++] = (float)seconds;
}

/* Reasons beyond the last place are counted there. */
void outcome_fail(struct outcome *outcome, long count, const char *format, ...) {
    char reason[REASON_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    int place = 0;
    struct failure *failures = outcome->failures;
    while (place < REASONS - 1 && failures[place].count && strcmp(failures[place].reason, reason) != 0) place++;
    snprintf(failures[place].reason, REASON_SIZE, "%s", reason);
    failures[place].count += count;
}

static int compare(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

/* Milliseconds, interpolated between neighbours. */
static double percentile(const struct samples *samples, double percent) {
    double position = (double)(samples->size - 1) * percent / 100;
    size_t low = (size_t)position, high = low + 1 < samples->size ? low + 1 : low;
    double value = (double)samples->values[low], next = (double)samples->values[high];
    return 1e3 * (value + (next - value) * (position - (double)low));
}

static void print_samples(const char *name, struct samples *samples) {
    printf(",\"%s\":{\"count\":%zu", name, samples->size);
    if (samples->size > 0) {
        qsort(samples->values, samples->size, sizeof(float), compare);
        printf(",\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"max\":%.4f", percentile(samples, 50), percentile(samples, 90),
               percentile(samples, 99), percentile(samples, 100));
    }
    printf("}");
}

void outcome_print(struct outcome *outcome) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    printf("{\"done\":%ld,\"tokens\":%ld,\"connections_opened\":%ld,\"wall_s\":%.6f,\"cpu_s\":%.6f", outcome->done,
           outcome->tokens, outcome->opened, outcome->wall_s, cpu_s);
    print_samples("ttft_ms", &outcome->ttft);
    print_samples("total_ms", &outcome->total);
    print_samples("gap_ms", &outcome->gaps);
    printf(",\"failures\":{");
    for (int place = 0; place < REASONS && outcome->failures[place].count; place++)
        printf("%s\"%s\":%ld", place ? "," : "", outcome->failures[place].reason, outcome->failures[place].count);
    printf("}}\n");
}
