/* The target description: registers.def as gdb's XML. Reference: "Debugging with GDB",
 * appendix G, Target Descriptions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/vcpu.h"
#include "gdb/registers.h"

static const char *const feature_names[FEATURE_COUNT] = {
    [FEATURE_CORE] = "org.gnu.gdb.i386.core",
    [FEATURE_SSE] = "org.gnu.gdb.i386.sse",
    [FEATURE_AVX] = "org.gnu.gdb.i386.avx",
    [FEATURE_SYSTEM] = "org.novt.i386.system",
};

/* --- Flags ---------------------------------------------------------------------------------- */

struct flag {
    const char *name;
    unsigned bit;
};

static const struct flag eflags[] = {
    { "CF", 0 }, { "", 1 }, { "PF", 2 }, { "AF", 4 }, { "ZF", 6 }, { "SF", 7 }, { "TF", 8 },
    { "IF", 9 }, { "DF", 10 }, { "OF", 11 }, { "NT", 14 }, { "RF", 16 }, { "VM", 17 },
    { "AC", 18 }, { "VIF", 19 }, { "VIP", 20 }, { "ID", 21 }, { NULL, 0 },
};

static const struct flag mxcsr[] = {
    { "IE", 0 }, { "DE", 1 }, { "ZE", 2 }, { "OE", 3 }, { "UE", 4 }, { "PE", 5 }, { "DAZ", 6 },
    { "IM", 7 }, { "DM", 8 }, { "ZM", 9 }, { "OM", 10 }, { "UM", 11 }, { "PM", 12 }, { "FZ", 15 },
    { NULL, 0 },
};

static const struct flag cr0[] = {
    { "PE", 0 }, { "MP", 1 }, { "EM", 2 }, { "TS", 3 }, { "ET", 4 }, { "NE", 5 }, { "WP", 16 },
    { "AM", 18 }, { "NW", 29 }, { "CD", 30 }, { "PG", 31 }, { NULL, 0 },
};

static const struct flag cr4[] = {
    { "VME", 0 }, { "PVI", 1 }, { "TSD", 2 }, { "DE", 3 }, { "PSE", 4 }, { "PAE", 5 },
    { "MCE", 6 }, { "PGE", 7 }, { "PCE", 8 }, { "OSFXSR", 9 }, { "OSXMMEXCPT", 10 },
    { "UMIP", 11 }, { "FSGSBASE", 16 }, { "OSXSAVE", 18 }, { "SMEP", 20 }, { "SMAP", 21 },
    { NULL, 0 },
};

static void put_flags(FILE *out, const char *id, const struct flag *flag)
{
    fprintf(out, "<flags id=\"%s\" size=\"4\">", id);
    for (; flag->name; flag++)
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flag->name, flag->bit,
                flag->bit);
    fputs("</flags>\n", out);
}

/* --- Features ------------------------------------------------------------------------------- */

static const char vectors[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
    "</union>\n";

static void put_types(FILE *out, enum gdb_feature feature)
{
    if (feature == FEATURE_CORE)
        put_flags(out, "eflags", eflags);
    if (feature == FEATURE_SSE) {
        fputs(vectors, out);
        put_flags(out, "mxcsr", mxcsr);
    }
    if (feature == FEATURE_SYSTEM) {
        put_flags(out, "cr0", cr0);
        put_flags(out, "cr4", cr4);
    }
}

static void put_register(FILE *out, const struct gdb_register *r)
{
    fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"", r->name, 8 * r->bytes, r->type);
    if (r->group)
        fprintf(out, " group=\"%s\"", r->group);
    fputs("/>\n", out);
}

static void put_feature(FILE *out, enum gdb_feature feature)
{
    fprintf(out, "<feature name=\"%s\">\n", feature_names[feature]);
    put_types(out, feature);
    for (unsigned i = 0; i < gdb_register_count; i++)
        if (gdb_registers[i].feature == feature)
            put_register(out, &gdb_registers[i]);
    fputs("</feature>\n", out);
}

char *gdb_description(const struct vcpu *vcpu)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
            "<target version=\"1.0\"><architecture>%s</architecture>\n",
            vcpu_code32(vcpu) ? "i386" : "i8086");
    for (enum gdb_feature feature = 0; feature < FEATURE_COUNT; feature++)
        if (gdb_feature_present(vcpu, feature))
            put_feature(out, feature);
    fputs("</target>\n", out);
    if (!fclose(out))
        return text;
    free(text);
    return NULL;
}
