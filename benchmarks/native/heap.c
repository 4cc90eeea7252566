#include "heap.h"

#include "buffer.h"

static void put(struct heap *heap, size_t place, struct timer *timer) {
    heap->timers[place] = timer;
    timer->place = place;
}

static void sift_up(struct heap *heap, size_t place, struct timer *timer) {
    for (; place > 1 && heap->timers[place / 2]->due > timer->due; place /= 2)
        put(heap, place, heap->timers[place / 2]);
    put(heap, place, timer);
}

static void sift_down(struct heap *heap, size_t place, struct timer *timer) {
    for (size_t child; (child = 2 * place) <= heap->size; place = child) {
        if (child < heap->size && heap->timers[child + 1]->due < heap->timers[child]->due) child++;
        if (heap->timers[child]->due >= timer->due) break;
        put(heap, place, heap->timers[child]);
    }
    put(heap, place, timer);
}

void heap_set(struct heap *heap, struct timer *timer, double due) {
    heap_cancel(heap, timer);
    if (heap->size + 2 > heap->capacity) {
        heap->capacity = heap->capacity ? 2 * heap->capacity : 64;
        heap->timers = resize(heap->timers, heap->capacity * sizeof(struct timer *));
    }
    timer->due = due;
    sift_up(heap, ++heap->size, timer);
}

void heap_cancel(struct heap *heap, struct timer *timer) {
    size_t place = timer->place;
    if (place == 0) return;
    timer->place = 0;
    struct timer *last = heap->timers[heap->size--];
    if (last == timer) return;
    if (place > 1 && heap->timers[place / 2]->due > last->due) sift_up(heap, place, last);
    else sift_down(heap, place, last);
}

struct timer *heap_first(const struct heap *heap) {
    return heap->size ? heap->timers[1] : NULL;
}
