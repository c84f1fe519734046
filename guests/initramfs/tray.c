/*
 * tray open | close | state: the CD-ROM drive's tray, /dev/sr0. Says what the kernel answered: an
 * error's number below 0, or of the state 1 no disc, 2 tray open, 4 disc.
 */
#include "guests/bench/rt.h"

enum { NR_IOCTL = 54, O_NONBLOCK_FLAG = 04000, CURRENT_SLOT = 0x7fffffff };
enum { CDROM_EJECT = 0x5309, CDROM_CLOSE_TRAY = 0x5319, CDROM_STATUS = 0x5326 };

int rt_main(int argc, char **argv, char **envp)
{
    char text[] = "+0\n";
    long fd, got;
    int what = argc > 1 ? argv[1][0] : 0;

    (void)envp;
    fd = sys4(SYS_open, "/dev/sr0", O_NONBLOCK_FLAG, 0, 0);
    got = fd < 0 ? fd :
                   sys4(NR_IOCTL, fd,
                        what == 'o' ? CDROM_EJECT :
                        what == 'c' ? CDROM_CLOSE_TRAY :
                                      CDROM_STATUS,
                        CURRENT_SLOT, 0);
    if (got < 0) {
        text[0] = '-';
        got = got < -9 ? 9 : -got;
    }
    text[1] = (char)('0' + got);
    sys4(SYS_write, 1, text, sizeof(text) - 1, 0);
    return 0;
}
