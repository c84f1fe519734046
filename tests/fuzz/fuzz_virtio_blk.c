/* A hostile driver of the virtio disk; the medium answers in any order. */
#include "devices/blockdev.h"
#include "devices/virtio_blk.h"
#include "tests/fuzz/virtio_machine.h"

enum { DISK = 65536, QUEUE = 256 };

struct medium {
    struct blockdev dev;
    uint8_t bytes[DISK];
    struct block_request *waiting[QUEUE];
    unsigned count;
    bool at_once;
};

static int perform(struct medium *m, struct block_request *r)
{
    uint64_t at = r->offset;

    if (r->offset + r->size > m->dev.size || r->offset % 512 || r->size % 512)
        __builtin_trap(); /* the controller promised */
    if (r->op != BLOCK_READ && r->op != BLOCK_WRITE)
        return 0;
    for (unsigned i = 0; i < r->iov_count; i++) {
        if (r->op == BLOCK_READ)
            memcpy(r->iov[i].iov_base, m->bytes + at, r->iov[i].iov_len);
        else
            memcpy(m->bytes + at, r->iov[i].iov_base, r->iov[i].iov_len);
        at += r->iov[i].iov_len;
    }
    return at == r->offset + r->size ? 0 : (__builtin_trap(), -1);
}

static void submit(void *medium, struct block_request *r)
{
    struct medium *m = medium;

    if (m->count == QUEUE)
        __builtin_trap();
    m->waiting[m->count++] = r;
}

static bool try_now(void *medium, struct block_request *r)
{
    struct medium *m = medium;

    if (m->at_once)
        r->err = perform(m, r);
    return m->at_once;
}

static void answer(struct medium *m, unsigned i, int err)
{
    struct block_request *r = m->waiting[i];

    m->waiting[i] = m->waiting[--m->count];
    r->done(r->arg, r, err ? err : perform(m, r));
}

static void drain(void *medium)
{
    struct medium *m = medium;

    while (m->count)
        answer(m, 0, 0);
}

static void host(struct fuzz_machine *f, struct medium *m)
{
    uint8_t what = fuzz_byte(&f->fuzz);

    m->at_once = what & 1;
    if (m->count)
        answer(m, what % m->count, what & 0x80 ? -5 : 0);
    if (what == 0x7e) {
        m->dev.size = m->dev.size == DISK ? DISK / 2 : DISK;
        while (m->count)
            answer(m, 0, -5);
        m->dev.changed(m->dev.controller);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct medium medium;
    struct fuzz_machine f;
    struct virtio_blk *blk;

    memset(&medium, 0, sizeof(medium));
    fuzz_open(&f, data, size);
    medium.dev = (struct blockdev){ .submit = submit, .try_now = try_now, .drain = drain,
                                    .medium = &medium, .size = DISK, .present = true,
                                    .readonly = fuzz_byte(&f.fuzz) == 1 };
    blk = virtio_blk_create(&(struct virtio_blk_config){
        f.driver.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &f.driver.mem, &medium.dev, 0 });
    fuzz_start(&f, 1, QUEUE);
    while (fuzz_more(&f.fuzz))
        if (!fuzz_step(&f))
            host(&f, &medium);
    virtio_blk_destroy(blk);
    fuzz_close(&f);
    return 0;
}
