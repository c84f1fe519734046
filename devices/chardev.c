/* Character lines: attaching, and the back ends that need no host. */
#include "devices/chardev.h"

#include <string.h>

#include "base/bug.h"

void chardev_attach(struct chardev *line, const struct chardev_device *ops, void *dev)
{
    BUG_ON(line->dev_ops);
    line->dev_ops = ops;
    line->dev = dev;
    chardev_accept(line);
}

void chardev_detach(struct chardev *line)
{
    line->dev_ops = NULL;
    line->dev = NULL;
}

/* --- memory ------------------------------------------------------------- */

static size_t memory_write(void *host, const uint8_t *bytes, size_t size)
{
    struct chardev_memory *memory = host;
    size_t left = sizeof(memory->text) - memory->size;
    size_t take = size < memory->room ? size : memory->room;

    take = take < left ? take : left;
    memcpy(memory->text + memory->size, bytes, take);
    memory->size += take;
    memory->room -= take;
    memory->writes++;
    return take;
}

static void memory_accept(void *host)
{
    struct chardev_memory *memory = host;

    memory->accepts++;
}

static void memory_modem(void *host, bool dtr, bool rts)
{
    struct chardev_memory *memory = host;

    memory->dtr = dtr;
    memory->rts = rts;
}

static void memory_break(void *host, bool on)
{
    struct chardev_memory *memory = host;

    memory->brk = on;
}

static const struct chardev_host memory_host = {
    .write = memory_write,
    .accept = memory_accept,
    .modem = memory_modem,
    .send_break = memory_break,
};

void chardev_memory_init(struct chardev_memory *memory)
{
    memset(memory, 0, sizeof(*memory));
    memory->room = sizeof(memory->text);
    chardev_init(&memory->line, &memory_host, memory);
}
