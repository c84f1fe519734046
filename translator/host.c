/* What this host offers; apart because the system's headers share names with the architecture's. */
#include <asm/hwcap2.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/auxv.h>

bool host_has_bmi(void);
bool host_has_bmi2(void);
bool host_has_fsgsbase(void);
unsigned host_max_areas(void);

bool host_has_bmi(void)
{
    return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

bool host_has_bmi2(void)
{
    return __builtin_cpu_supports("bmi2");
}

bool host_has_fsgsbase(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

unsigned host_max_areas(void)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned areas = 65530; /* the kernel's default */

    if (!f)
        return areas;
    if (fscanf(f, "%u", &areas) != 1)
        areas = 65530;
    fclose(f);
    return areas;
}
