/*
 * foreground PATH ARGUMENT...: runs a program with SIGINT and SIGQUIT as they are at first. A shell
 * without job control starts what it runs behind (&) with both ignored, for ever; init's shell
 * must run so, and would hand that on to all commands: Ctrl-C would end none.
 */
#include "guests/bench/rt.h"

enum { NR_SIGNAL = 48, NUMBER_INT = 2, NUMBER_QUIT = 3, BY_DEFAULT = 0 };

int rt_main(int argc, char **argv, char **envp)
{
    if (argc < 2)
        return 2;
    sys4(NR_SIGNAL, NUMBER_INT, BY_DEFAULT, 0, 0);
    sys4(NR_SIGNAL, NUMBER_QUIT, BY_DEFAULT, 0, 0);
    sys4(SYS_execve, argv[1], argv + 1, envp, 0);
    return 127;
}
