/*
 * The font of text modes for a guest that starts without a video BIOS: the BIOS's own, where its
 * file is there, else plain letters of 5 by 7 dots, each line twice.
 */
#include "devices/vga_state.h"

#include <string.h>

enum { FIRST = 32, LAST = 126, GLYPH = 16, FONT = 256 * GLYPH };

/* Seven lines of five dots, the uppermost in bits 34:30, from the blank on. */
static const uint64_t letters[LAST - FIRST + 1] = {
    0x000000000ull, 0x108421004ull, 0x294a00000ull, 0x295f57d4aull, 0x11f4717c4ull,
    0x672222273ull, 0x32544564dull, 0x108800000ull, 0x088842082ull, 0x208210888ull,
    0x009575480ull, 0x0084f9080ull, 0x000003088ull, 0x0000f8000ull, 0x00000018cull,
    0x042222210ull, 0x3a33ae62eull, 0x11842108eull, 0x3a213221full, 0x7c441062eull,
    0x08ca97c42ull, 0x7e1e0862eull, 0x1910f462eull, 0x7c2222108ull, 0x3a317462eull,
    0x3a317844cull, 0x018c03180ull, 0x018c03088ull, 0x088882082ull, 0x001f07c00ull,
    0x208208888ull, 0x3a2111004ull, 0x3a37ade0eull, 0x3a31fc631ull, 0x7a31f463eull,
    0x3a308422eull, 0x72518c65cull, 0x7e10f421full, 0x7e10f4210ull, 0x3a30bc62full,
    0x4631fc631ull, 0x38842108eull, 0x1c4210a4cull, 0x4654c5251ull, 0x42108421full,
    0x4775ac631ull, 0x47359c631ull, 0x3a318c62eull, 0x7a31f4210ull, 0x3a318d64dull,
    0x7a31f5251ull, 0x3e107043eull, 0x7c8421084ull, 0x46318c62eull, 0x46318c544ull,
    0x4631ad771ull, 0x462a22a31ull, 0x462a21084ull, 0x7c222221full, 0x39084210eull,
    0x420820821ull, 0x38421084eull, 0x115100000ull, 0x00000001full, 0x208200000ull,
    0x000e0be2full, 0x4216cc63eull, 0x000e8422eull, 0x042d9c62full, 0x000e8fe0eull,
    0x1928e2108ull, 0x01f18bc2eull, 0x4216cc631ull, 0x100c2108eull, 0x080610a4cull,
    0x4212a6292ull, 0x30842108eull, 0x001aad631ull, 0x0016cc631ull, 0x000e8c62eull,
    0x001e8fa10ull, 0x000d9bc21ull, 0x0016cc210ull, 0x000e8383eull, 0x211c42126ull,
    0x00118c66dull, 0x00118c544ull, 0x00118d6aaull, 0x001151151ull, 0x00118bc2eull,
    0x001f1111full, 0x088441082ull, 0x108421084ull, 0x208411088ull, 0x0008a8800ull,
};

/* A font of 256 begins with an empty glyph; the face of code 1 follows in every PC's. */
const uint8_t *vga_font_in(const uint8_t *rom, uint32_t size)
{
    static const uint8_t begin[] = {
        [GLYPH + 2] = 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e,
    };

    for (uint32_t at = 0; rom && at + FONT <= size; at++)
        if (!memcmp(rom + at, begin, sizeof(begin)))
            return rom + at;
    return NULL;
}

void vga_font_plain(uint8_t glyph[256][16])
{
    memset(glyph, 0, FONT);
    for (unsigned code = 0; code < 256; code++) {
        uint64_t dots = code >= FIRST && code <= LAST ? letters[code - FIRST] : 0;

        for (unsigned line = 0; line < 7; line++)
            glyph[code][1 + 2 * line] = glyph[code][2 + 2 * line] =
                (uint8_t)((dots >> (30 - 5 * line) & 31) << 2);
    }
}
