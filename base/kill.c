/* Why the machine stops: the first reason wins. */
#include "base/kill.h"

#include <stdarg.h>
#include <stdio.h>

void vm_stop(struct vm_stop *stop, enum vm_end end, int code, const char *format, ...)
{
    va_list ap;

    if (stop->end != VM_RUNNING)
        return;
    stop->end = end;
    stop->code = code;
    va_start(ap, format);
    vsnprintf(stop->reason, sizeof(stop->reason), format, ap);
    va_end(ap);
}
