# Writes a C file of 20 000 lines for a compiler to work at: structures, switches, loops,
# arithmetic on integers and doubles, calls; every function different. No header, no libc.
function random(n) {
    seed = (seed * 1103 + 12345) % 1048573
    return seed % n
}

function line(text) {
    print text
    lines++
}

function operator() {
    return substr("+-*^|&", 1 + random(6), 1)
}

function expression(i) {
    return "(a " operator() " " random(1000) "u) " operator() " (b >> " random(31) ") " \
           operator() " t->field" random(6)
}

function body(i, n) {
    line("    for (i = 0; i < (int)(b & " 15 + random(100) "); i++) {")
    line("        sum += " expression() ";")
    line("        t->array[(i * " 1 + random(7) ") & 15] ^= sum;")
    line("        if (sum % " 3 + random(40) " == " random(3) ")")
    line("            t->ratio = t->ratio * " random(100) ".5 + (double)sum;")
    line("    }")
    line("    switch (a & 7) {")
    for (n = 0; n < 4; n++) {
        line("    case " n ":")
        line("        sum = " expression() ";")
        line(i > 2 ? "        sum += function_" random(i) "(t, sum, a - 1);" : "        sum++;")
        line("        break;")
    }
    line("    default:")
    line("        t->field" random(6) " = sum;")
    line("        while (sum > " 100 + random(1000) ")")
    line("            sum = (sum >> 1) " operator() " t->array[sum & 15];")
    line("    }")
}

BEGIN {
    seed = 4711
    line("struct thing {")
    for (i = 0; i < 6; i++)
        line("    unsigned field" i ";")
    line("    unsigned array[16];")
    line("    double ratio;")
    line("};")
    line("")
    for (i = 0; lines < 19960; i++) {
        line("unsigned function_" i "(struct thing *t, unsigned a, unsigned b);")
        line("unsigned function_" i "(struct thing *t, unsigned a, unsigned b)")
        line("{")
        line("    unsigned sum = " random(9999) ";")
        line("    int i;")
        line("")
        body(i)
        line("    return sum;")
        line("}")
        line("")
    }
    while (lines < 20000)
        line("extern unsigned number_" lines ";")
}
