/* The monitor beside the guest: see mux.h. */
#include "frontend/mux.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/console.h"
#include "frontend/control.h"
#include "frontend/error.h"
#include "frontend/machine.h"

enum { LINE_MAX_SIZE = 4096, ERASE = 0x7f, BACKSPACE = 8, FORGET = 0x15 /* Ctrl-U */ };

struct mux {
    struct machine *machine;
    struct console *console;
    struct control *own; /* where there is no other -monitor */
    char line[LINE_MAX_SIZE];
    size_t used;
};

static void say(struct mux *mux, const char *text)
{
    console_say(mux->console, text, strlen(text));
}

static void prompt(struct mux *mux)
{
    mux->used = 0;
    say(mux, "(novt) ");
}

static void answer(struct mux *mux)
{
    struct control *control = mux->own ? mux->own : mux->machine->control;
    char *text = control_answer_words(control, mux->line, mux->used);

    say(mux, "\n");
    say(mux, text ? text : "no host memory\n");
    free(text);
    prompt(mux);
}

static void erase(struct mux *mux)
{
    if (!mux->used)
        return;
    mux->used--;
    say(mux, "\b \b");
}

static void type(struct mux *mux, uint8_t key)
{
    if (key == '\r' || key == '\n') {
        answer(mux);
    } else if (key == ERASE || key == BACKSPACE) {
        erase(mux);
    } else if (key == FORGET) {
        while (mux->used)
            erase(mux);
    } else if (key >= ' ' && mux->used < sizeof(mux->line)) {
        mux->line[mux->used++] = (char)key;
        console_say(mux->console, (const char *)&key, 1);
    }
}

void mux_typed(void *arg, const uint8_t *bytes, size_t size)
{
    struct mux *mux = *(struct mux **)arg;

    if (!mux)
        return;
    if (!size) {
        say(mux, "\nthe monitor: help lists its commands, the same keys go back to the guest\n");
        prompt(mux);
    }
    for (size_t i = 0; i < size; i++)
        type(mux, bytes[i]);
}

struct mux *mux_create(struct machine *machine, struct console *console, struct error *error)
{
    struct mux *mux = calloc(1, sizeof(*mux));

    if (!mux) {
        error_set(error, EX_OSERR, "no host memory for the monitor; free some");
        return NULL;
    }
    mux->machine = machine;
    mux->console = console;
    if (machine->control || !control_begin(&mux->own, machine, error))
        return mux;
    mux_destroy(mux);
    return NULL;
}

void mux_destroy(struct mux *mux)
{
    if (!mux)
        return;
    control_close(mux->own);
    free(mux);
}
