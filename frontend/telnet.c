/* Telnet, as far as a server needs it: see telnet.h. */
#include "frontend/telnet.h"

#include <stdbool.h>
#include <unistd.h>

enum {
    TELNET_SE = 240, TELNET_BREAK = 243, TELNET_SB = 250, TELNET_WILL, TELNET_WONT, TELNET_DO,
    TELNET_DONT, TELNET_IAC,
    TELNET_BINARY = 0, TELNET_ECHO = 1, TELNET_NO_GO_AHEAD = 3,
};

/* What the next byte is. */
enum { DATA, AFTER_CR, COMMAND, OPTION, PARAMETERS, PARAMETERS_COMMAND };

void telnet_greet(struct telnet *telnet, int client)
{
    static const uint8_t hello[] = {
        TELNET_IAC, TELNET_WILL, TELNET_ECHO,   TELNET_IAC, TELNET_WILL, TELNET_NO_GO_AHEAD,
        TELNET_IAC, TELNET_WILL, TELNET_BINARY, TELNET_IAC, TELNET_DO,   TELNET_BINARY,
    };

    *telnet = (struct telnet){ 0 };
    if (write(client, hello, sizeof(hello)) != sizeof(hello))
        return; /* it has gone already, which is found when it is read from */
}

static uint8_t after_command(struct telnet *telnet, uint8_t byte)
{
    telnet->breaks += byte == TELNET_BREAK;
    return byte == TELNET_SB ? PARAMETERS : byte >= TELNET_WILL ? OPTION : DATA;
}

/* True: the byte is data. A line's end is CR NUL or CR LF there. */
static bool take_data(struct telnet *telnet, uint8_t byte)
{
    bool after_cr = telnet->state == AFTER_CR;

    if (byte == TELNET_IAC) {
        telnet->state = COMMAND;
        return false;
    }
    telnet->state = byte == '\r' ? AFTER_CR : DATA;
    return !after_cr || byte;
}

static bool take(struct telnet *telnet, uint8_t byte)
{
    switch (telnet->state) {
    case DATA: case AFTER_CR:
        return take_data(telnet, byte);
    case COMMAND:
        telnet->state = byte == TELNET_IAC ? DATA : after_command(telnet, byte);
        return byte == TELNET_IAC;
    case OPTION:
        telnet->state = DATA;
        return false;
    case PARAMETERS:
        telnet->state = byte == TELNET_IAC ? PARAMETERS_COMMAND : PARAMETERS;
        return false;
    default:
        telnet->state = byte == TELNET_SE ? DATA : PARAMETERS;
        return false;
    }
}

size_t telnet_filter(struct telnet *telnet, uint8_t *bytes, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size; i++)
        if (take(telnet, bytes[i]))
            bytes[kept++] = bytes[i];
    return kept;
}
