/* A hostile driver of the 9P transport; the server answers what it likes, when it likes. */
#include "devices/sharedev.h"
#include "devices/virtio_9p.h"
#include "tests/fuzz/virtio_machine.h"

enum { QUEUE = 128 };

struct server {
    struct share_request *waiting[QUEUE];
    unsigned count;
};

static void submit(void *server, struct share_request *r)
{
    struct server *s = server;

    if (s->count == QUEUE)
        __builtin_trap();
    s->waiting[s->count++] = r;
}

static void answer(struct server *s, unsigned i, uint32_t size)
{
    struct share_request *r = s->waiting[i];
    uint64_t left = size < r->in_size ? size : r->in_size;
    uint32_t written = (uint32_t)left;

    s->waiting[i] = s->waiting[--s->count];
    for (unsigned k = 0; k < r->in_count && left; k++) {
        size_t n = r->in[k].iov_len < left ? r->in[k].iov_len : left;

        memset(r->in[k].iov_base, 0x55, n);
        left -= n;
    }
    r->done(r->arg, r, written);
}

static void reset(void *server)
{
    struct server *s = server;

    while (s->count)
        answer(s, 0, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server server = { .count = 0 };
    struct sharedev share = { .submit = submit, .reset = reset, .server = &server, .tag = "fuzz" };
    struct fuzz_machine f;
    struct virtio_9p *p9;

    fuzz_open(&f, data, size);
    p9 = virtio_9p_create(&(struct virtio_9p_config){
        f.driver.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &f.driver.mem, &share });
    fuzz_start(&f, 1, QUEUE);
    while (fuzz_more(&f.fuzz)) {
        uint32_t written;

        if (fuzz_step(&f) || !server.count)
            continue;
        written = fuzz_byte(&f.fuzz) * 16u;
        answer(&server, fuzz_byte(&f.fuzz) % server.count, written);
    }
    virtio_9p_destroy(p9);
    fuzz_close(&f);
    return 0;
}
