/* Zydis and Capstone as second and third opinions about instructions. */
#ifndef TESTS_INSN_DECODE_PEERS_H
#define TESTS_INSN_DECODE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

struct insn;

enum peer { PEER_ZYDIS, PEER_CAPSTONE, PEER_COUNT };

struct peer_answer {
    int length;    /* 0: undefined, -1: longer than 15 bytes (Zydis only) */
    char name[32]; /* lower case */
};

struct peers;

/* NULL when out of memory. */
struct peers *peers_create(void);
void peers_destroy(struct peers *peers);

void peers_ask(struct peers *peers, enum peer peer, const uint8_t bytes[15], bool code16,
               struct peer_answer *answer);

/* Is name what this peer calls the instruction? They differ in style (je, jz; pushal, pushad),
 * which is no disagreement. */
bool peers_same_name(enum peer peer, const struct insn *in, const char *name);

#endif
