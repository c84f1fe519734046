/*
 * What telnet clients mix into what they send. They are answered nothing: who wants each key as it
 * is says so first (telnet_greet). Bytes 0xff to them are sent as they are, as QEMU does.
 * Reference: RFC 854, 856, 857, 858.
 */
#ifndef FRONTEND_TELNET_H
#define FRONTEND_TELNET_H

#include <stddef.h>
#include <stdint.h>

struct telnet {
    uint8_t state; /* what the next byte is; 0: data, to begin with */
    unsigned breaks; /* BREAKs so far, for whoever looks */
};

/* Asks the client to send each key, as it is, and to leave the echo to us. */
void telnet_greet(struct telnet *telnet, int client);

/* Takes commands out of what it has sent, and the NUL behind a CR; how many bytes are left. */
size_t telnet_filter(struct telnet *telnet, uint8_t *bytes, size_t size);

#endif
