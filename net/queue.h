/*
 * Frames on their way from one thread to another: a ring of bytes with one who puts and one who
 * takes, without locks. A frame lies in one piece, so it is made and read in place.
 *
 *  Q1. head moves by the putting thread alone, tail by the taking one; both only grow.
 *  Q2. Whoever sees head past a frame sees all of the frame.
 */
#ifndef NET_QUEUE_H
#define NET_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/netdev.h"

struct queue;

/* bytes: a power of two, more than twice the largest frame. NULL when memory is out. */
struct queue *queue_create(size_t bytes);
void queue_destroy(struct queue *queue);

/* --- The putting side --------------------------------------------------- */

/* Room for a frame of size bytes; NULL: not now. Nobody sees it before queue_put(). */
uint8_t *queue_room(struct queue *queue, size_t size);
/* The frame in the room is whole; size at most what room was asked for. */
void queue_put(struct queue *queue, size_t size, const struct netdev_offload *offload);
/* Bytes that are surely free for one frame. */
size_t queue_free(const struct queue *queue);

/* --- The taking side ---------------------------------------------------- */

/* The oldest frame, which is the taker's to change, with its offload, until queue_drop(); NULL:
 * there is none. */
uint8_t *queue_front(struct queue *queue, size_t *size, struct netdev_offload **offload);
void queue_drop(struct queue *queue);

/* Either side. */
bool queue_is_empty(const struct queue *queue);

#endif
