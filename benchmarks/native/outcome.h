/* What a load has measured, printed as JSON. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include <stddef.h>

enum { REASONS = 32, REASON_SIZE = 48 };

struct samples { float *values; size_t size, capacity; }; /* seconds */

struct failure { char reason[REASON_SIZE]; long count; };

struct outcome {
    long done, tokens, opened; /* `opened`: connections */
    double wall_s;
    struct samples ttft, total, gaps;
    struct failure failures[REASONS];
};

void samples_add(struct samples *samples, double seconds);
__attribute__((format(printf, 3, 4))) void outcome_fail(struct outcome *outcome, long count, const char *reason, ...);
void outcome_print(struct outcome *outcome);

#endif
