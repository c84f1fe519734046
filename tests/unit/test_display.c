/*
 * Where chips, windows and input meet: queues, rectangles, text to type; keys in combinations; what
 * -display, -vga and -screenshot say; and the messages of windows, nonsense among them.
 */
#include "devices/display.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "display/keysyms.h"
#include "display/link.h"
#include "display/picture.h"
#include "display/usb_keys.h"
#include "frontend/config_display.h"
#include "frontend/error.h"
#include "frontend/input.h"
#include "tests/check.h"

static struct display *d;

static bool readable(int fd)
{
    return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1;
}

static unsigned drain(struct display_event *to, unsigned most)
{
    unsigned n = 0;

    display_quiet_input(d);
    while (n < most && display_take_event(d, &to[n]))
        n++;
    return n;
}

static void test_events(void)
{
    struct display_event got[1024];
    unsigned n;

    CHECK_EQ(readable(display_input_fd(d)), false);
    display_key(d, 30, true);
    display_pointer(d, 1, 2, 0, 1);
    display_pointer(d, 3, -5, 1, 1); /* joined */
    display_pointer(d, 1, 0, 0, 0);
    display_key(d, 30, false);
    CHECK_EQ(readable(display_input_fd(d)), true);
    n = drain(got, 1024);
    CHECK_EQ(n, 4);
    CHECK_EQ(got[0].kind == DISPLAY_KEY && got[0].key == 30 && got[0].down, 1);
    CHECK_EQ(got[1].kind == DISPLAY_POINTER && got[1].dx == 4 && got[1].dy == -3, 1);
    CHECK_EQ(got[1].dz, 1);
    CHECK_EQ(got[2].buttons, 0);
    CHECK_EQ(got[3].down, false);
    CHECK_EQ(readable(display_input_fd(d)), false);
    for (unsigned i = 0; i < 1000; i++)
        display_key(d, 30, true);
    display_key(d, 30, false); /* there is always room for letting go */
    n = drain(got, 1024);
    CHECK_EQ(n < 600, true);
    CHECK_EQ(got[n - 1].down, false);
}

static void test_text(void)
{
    char big[4096];
    unsigned n = 0;

    memset(big, 'x', sizeof(big));
    CHECK_EQ(display_take_character(d), -1);
    display_type(d, "a\xff", 2);
    CHECK_EQ(display_take_character(d), 'a');
    CHECK_EQ(display_take_character(d), 0xff);
    for (unsigned i = 0; i < 100; i++)
        display_type(d, big, sizeof(big));
    while (display_take_character(d) >= 0)
        n++;
    CHECK_EQ(n, 65536);
}

static void test_rectangles(void)
{
    struct display_picture p = { 0 };

    CHECK_EQ(display_size(&p, 100, 100), true);
    for (unsigned y = 0; y < 50; y++)
        display_add_rect(&p, 0, y, 100, 1); /* one */
    CHECK_EQ(p.rects, 1);
    CHECK_EQ(p.rect[0].height, 50);
    for (unsigned i = 0; i < 200; i++)
        display_add_rect(&p, i % 10 * 10, 50 + i / 10, 1, 1);
    CHECK_EQ(p.rects, DISPLAY_RECTS);
    for (unsigned i = 0; i < 200; i++) { /* each is in one of them */
        bool inside = false;

        for (unsigned r = 0; r < p.rects; r++)
            inside |= i % 10 * 10 - p.rect[r].x < p.rect[r].width &&
                      50 + i / 10 - p.rect[r].y < p.rect[r].height;
        CHECK_EQ(inside, true);
    }
    display_forget(d, &p);
}

static void test_combinations(void)
{
    struct display_event got[32];
    const char *bad;

    CHECK_EQ(input_send_keys(d, "ctrl-alt-delete") == NULL, 1);
    CHECK_EQ(drain(got, 32), 6);
    CHECK_EQ(got[0].key == 29 && got[1].key == 56 && got[2].key == 111, 1);
    CHECK_EQ(got[3].key == 111 && !got[3].down && got[5].key == 29, 1);
    CHECK_EQ(input_send_keys(d, "a") == NULL, 1);
    CHECK_EQ(drain(got, 32), 2);
    bad = input_send_keys(d, "ctrl-nokey-a");
    CHECK_EQ(bad && !strcmp(bad, "nokey-a"), 1);
    CHECK_EQ(input_send_keys(d, "") != NULL, 1);
    CHECK_EQ(input_send_keys(d, "a-") != NULL, 1);
    CHECK_EQ(input_send_keys(d, "a-a-a-a-a-a-a-a-a") != NULL, 1);
    CHECK_EQ(drain(got, 32), 0);
}

static void test_key_names(void)
{
    CHECK_EQ(usb_keys_find(0x04), 30);  /* a */
    CHECK_EQ(usb_keys_find(0x1d), 44);  /* z */
    CHECK_EQ(usb_keys_find(0x27), 11);  /* 0 */
    CHECK_EQ(usb_keys_find(0x28), 28);  /* enter */
    CHECK_EQ(usb_keys_find(0x39), 58);  /* caps lock */
    CHECK_EQ(usb_keys_find(0x45), 88);  /* f12 */
    CHECK_EQ(usb_keys_find(0x52), 103); /* up */
    CHECK_EQ(usb_keys_find(0x63), 83);  /* keypad's point */
    CHECK_EQ(usb_keys_find(0xe6), 100); /* right alt */
    CHECK_EQ(usb_keys_find(0x1ff), 0);
    CHECK_EQ(keysyms_find('a'), 30);
    CHECK_EQ(keysyms_find('A'), 30);
    CHECK_EQ(keysyms_find(0xff0d), 28);
    CHECK_EQ(keysyms_find(0xffbe), 59);
    CHECK_EQ(keysyms_find(0xffc9), 88);
    CHECK_EQ(keysyms_find(0xffe9), 56);
    CHECK_EQ(keysyms_find(0xfffff), 0);
}

/* --- Options -------------------------------------------------------------------------------- */

static int display_option(struct display_spec *spec, const char *value)
{
    struct error error = { 0 };

    memset(spec, 0, sizeof(*spec));
    return config_display_take(spec, value, &error);
}

static void test_options(void)
{
    static struct display_spec s;
    struct error error = { 0 };

    CHECK_EQ(display_option(&s, "vnc=127.0.0.1:3"), 0);
    CHECK_EQ(s.kind == DISPLAY_VNC && s.port == 5903 && !strcmp(s.host, "127.0.0.1"), 1);
    CHECK_EQ(display_option(&s, "vnc=:0"), 0);
    CHECK_EQ(s.port == 5900 && !strcmp(s.host, "127.0.0.1"), 1);
    CHECK_EQ(display_option(&s, "vnc=[::1]:2"), 0);
    CHECK_EQ(strcmp(s.host, "::1"), 0);
    CHECK_EQ(display_option(&s, "vnc=:59635"), 0);
    CHECK_EQ(display_option(&s, "vnc=:59636"), -1);
    CHECK_EQ(display_option(&s, "vnc=:-1"), -1);
    CHECK_EQ(display_option(&s, "vnc="), -1);
    CHECK_EQ(display_option(&s, "curses"), 0);
    CHECK_EQ(display_option(&s, "window"), -1);
    memset(&s, 0, sizeof(s));
    CHECK_EQ(config_display_take_shot(&s, "a,b.png,at=1.5", &error), 0);
    CHECK_EQ(strcmp(s.shot[0].path, "a,b.png"), 0);
    CHECK_EQ(s.shot[0].at_ns, 1500000000);
    CHECK_EQ(config_display_take_shot(&s, "b.png", &error), 0);
    CHECK_EQ(s.shot[1].at_ns, CLOCK_NEVER);
    CHECK_EQ(config_display_take_shot(&s, ",at=1", &error), -1);
    CHECK_EQ(config_display_take_shot(&s, "b.png,at=-1", &error), -1);
    CHECK_EQ(config_display_settle(&s, false, true, false, &error), 0);
    CHECK_EQ(s.vga == VGA_STD && s.kind == DISPLAY_NONE, 1); /* a picture wants a VGA */
    memset(&s, 0, sizeof(s));
    CHECK_EQ(config_display_settle(&s, false, true, false, &error), 0);
    CHECK_EQ(s.vga == VGA_NONE && s.kind == DISPLAY_NONE, 1); /* Linux alone */
    memset(&s, 0, sizeof(s));
    CHECK_EQ(config_display_settle(&s, false, false, false, &error), 0);
    CHECK_EQ(s.vga == VGA_STD && s.kind == DISPLAY_NONE, 1); /* others may write to it */
    memset(&s, 0, sizeof(s));
    setenv("DISPLAY", ":0", 1);
    CHECK_EQ(config_display_settle(&s, true, false, false, &error), 0);
    CHECK_EQ(s.vga == VGA_STD && s.kind == DISPLAY_SDL, 1);
    memset(&s, 0, sizeof(s));
    CHECK_EQ(config_display_settle(&s, true, false, true, &error), 0);
    CHECK_EQ(s.vga == VGA_STD && s.kind == DISPLAY_NONE, 1);
    s.vga = VGA_NONE;
    s.kind = DISPLAY_VNC;
    CHECK_EQ(config_display_settle(&s, true, false, false, &error), -1);
}

/* --- The link -------------------------------------------------------------------------------- */

static int monitor;
static struct picture window;

static int memory(size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    CHECK_EQ(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static enum picture_news send_picture(unsigned width, unsigned height, unsigned count,
                                      struct display_rect rect, int fd)
{
    struct link_message m = { .kind = LINK_PICTURE,
                              .picture = { width, height, count, 0, { rect } } };

    CHECK_EQ(link_send(monitor, &m, fd), true);
    if (fd >= 0)
        close(fd);
    return picture_next(&window);
}

static void test_link(void)
{
    const struct display_rect all = { 0, 0, 64, 64 }, out = { 1, 0, 64, 64 };
    struct link_message got;
    int sockets[2], fd;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    monitor = sockets[0];
    window.socket = sockets[1];
    CHECK_EQ(picture_next(&window), PICTURE_NOTHING);
    CHECK_EQ(send_picture(64, 64, 1, all, -1), PICTURE_GONE); /* where are its pixels? */
    CHECK_EQ(send_picture(64, 64, 1, all, memory(64 * 64 * 4)), PICTURE_CHANGED);
    CHECK_EQ(window.resized && window.pixels[4095] == 0, 1);
    CHECK_EQ(send_picture(64, 64, 1, all, -1), PICTURE_CHANGED);
    CHECK_EQ(window.resized, false);
    CHECK_EQ(send_picture(64, 64, 1, out, -1), PICTURE_GONE);
    CHECK_EQ(send_picture(64, 65, 1, all, -1), PICTURE_GONE);
    CHECK_EQ(send_picture(64, 65, 1, all, memory(64 * 64 * 4)), PICTURE_GONE); /* too small */
    CHECK_EQ(send_picture(0, 64, 0, all, -1), PICTURE_GONE);
    CHECK_EQ(send_picture(1 << 30, 1 << 30, 0, all, memory(4096)), PICTURE_GONE);
    CHECK_EQ(send_picture(64, 64, 33, all, -1), PICTURE_GONE);
    CHECK_EQ(send(monitor, "short", 5, 0), 5);
    CHECK_EQ(picture_next(&window), PICTURE_GONE);
    CHECK_EQ(link_say(monitor, LINK_TITLE, "a title"), true);
    CHECK_EQ(picture_next(&window), PICTURE_TITLE);
    CHECK_EQ(strcmp(window.message.text, "a title"), 0);
    picture_key(&window, 30, true);
    CHECK_EQ(link_receive(monitor, &got, &fd, true), 1);
    CHECK_EQ(got.kind == LINK_KEY && got.key.key == 30 && got.key.down && fd < 0, 1);
    close(monitor);
    CHECK_EQ(picture_next(&window), PICTURE_GONE);
    picture_shown(&window); /* nobody is there: no signal */
    close(window.socket);
}

int main(void)
{
    d = display_create();
    test_events();
    test_text();
    test_rectangles();
    test_combinations();
    test_key_names();
    test_options();
    test_link();
    display_destroy(d);
    return CHECK_DONE();
}
