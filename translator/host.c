/* What this host offers; apart because the system's headers share names with the architecture's. */
#include <asm/hwcap2.h>
#include <stdbool.h>
#include <sys/auxv.h>

bool host_has_bmi2(void);
bool host_has_fsgsbase(void);

bool host_has_bmi2(void)
{
    return __builtin_cpu_supports("bmi2");
}

bool host_has_fsgsbase(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}
