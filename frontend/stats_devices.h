/* What devices did, for -stats. */
#ifndef FRONTEND_STATS_DEVICES_H
#define FRONTEND_STATS_DEVICES_H

struct json_t;
struct machine;

/* A new object with one for each device: "NAME@SLOT.FUNCTION" what is on PCI, "drive NAME" media,
 * "nic N" cables; counters each. */
struct json_t *stats_devices(const struct machine *m);

#endif
