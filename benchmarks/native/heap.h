/* Timers: a heap of the times at which something is due. */
#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>

struct timer { double due; size_t place; void *owner; }; /* `place` from 1; 0 when it is not set */

struct heap { struct timer **timers; size_t size, capacity; };

void heap_set(struct heap *heap, struct timer *timer, double due);
void heap_cancel(struct heap *heap, struct timer *timer);
/* The first timer, or NULL. */
struct timer *heap_first(const struct heap *heap);

#endif
