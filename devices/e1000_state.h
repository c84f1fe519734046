/* The 82540EM's registers and state, for its files: e1000.c and those of its rings. */
#ifndef DEVICES_E1000_STATE_H
#define DEVICES_E1000_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "devices/e1000.h"
#include "devices/netdev.h"
#include "devices/pci.h"

/* Offsets in the memory window, as the manual names them. */
enum {
    CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018,
    MDIC = 0x0020, FCAL = 0x0028, FCAH = 0x002c, FCT = 0x0030, VET = 0x0038,
    ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8,
    RCTL = 0x0100, FCTTV = 0x0170, TXCW = 0x0178, RXCW = 0x0180,
    TCTL = 0x0400, TIPG = 0x0410, AIFS = 0x0458, LEDCTL = 0x0e00, PBA = 0x1000,
    FCRTL = 0x2160, FCRTH = 0x2168,
    RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820,
    RXDCTL = 0x2828, RADV = 0x282c, RSRPD = 0x2c00,
    TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820,
    TXDCTL = 0x3828, TADV = 0x382c, TSPMT = 0x3830,
    STATISTICS = 0x4000, STATISTICS_END = 0x4128,
    RXCSUM = 0x5000, MTA = 0x5200, RA = 0x5400, VFTA = 0x5600, WUC = 0x5800, WUFC = 0x5808,
    WUS = 0x5810, MANC = 0x5820, IPAV = 0x5838, WUPM = 0x5a00,
    REGISTERS_END = 0x6000,
};

/* Statistics that move. */
enum {
    MPC = 0x4010, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080,
    GORCL = 0x4088, GOTCL = 0x4090, RUC = 0x40a4, ROC = 0x40ac, TORL = 0x40c0, TOTL = 0x40c8,
    TPR = 0x40d0, TPT = 0x40d4, PTC64 = 0x40d8, MPTC = 0x40f0, BPTC = 0x40f4, TSCTC = 0x40f8,
};

enum { CTRL_SLU = 1 << 6, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30 };
enum { ICR_TXDW = 1, ICR_TXQE = 2, ICR_LSC = 4, ICR_RXDMT0 = 0x10, ICR_RXO = 0x40, ICR_RXT0 = 0x80,
       ICR_MDAC = 0x200, ICR_ALL = 0x1ffff };
enum {
    RCTL_EN = 1 << 1, RCTL_UPE = 1 << 3, RCTL_MPE = 1 << 4, RCTL_LPE = 1 << 5,
    RCTL_BAM = 1 << 15, RCTL_VFE = 1 << 18, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26,
};
enum { TCTL_EN = 1 << 1 };
enum { RXCSUM_IPOFL = 1 << 8, RXCSUM_TUOFL = 1 << 9 };

enum { EEPROM_WORDS = 64, PHY_REGISTERS = 32, HEADER_MAX = 256, DESC_SIZE = 16 };

/* What a context descriptor says. */
struct e1000_context {
    uint8_t ip_from, ip_at, tcp_from, tcp_at;
    uint16_t ip_end, tcp_end;   /* the last byte; 0: the packet's */
    uint8_t command, header;    /* header: bytes, of a packet to be cut */
    uint16_t mss;
};

/* The packet being put together from descriptors. */
struct e1000_packet {
    struct e1000_context context;
    bool cut;                   /* TCP segmentation */
    bool started;               /* its first data descriptor has been seen */
    uint8_t options;            /* IXSM, TXSM of that one */
    uint8_t sum_from, sum_at;   /* legacy: checksum offset and start */
    bool sum;
    bool finished, tagged;      /* the frame is ready, and was refused */
    struct netdev_offload offload;
    uint32_t taken;             /* bytes of the descriptor that has been begun */
    uint32_t done;              /* payload bytes sent before what is in frame */
    uint32_t size;              /* bytes in frame */
    uint8_t header[HEADER_MAX]; /* as the driver made it */
    uint8_t bytes[4 + NETDEV_FRAME_MAX]; /* room for a VLAN tag, and the frame */
};

struct microwire {
    uint16_t in, out;
    uint8_t in_bits, out_bits, address;
    bool reading, data_out;
};

struct e1000 {
    struct pci_function function;
    struct e1000_config config;
    uint32_t reg[REGISTERS_END / 4];
    uint32_t io_address;        /* the port window's pointer */
    uint16_t eeprom[EEPROM_WORDS];
    struct microwire wire;
    uint16_t phy[PHY_REGISTERS];
    struct timer throttle;
    bool asserted;
    uint64_t asserted_ns;       /* when last */
    bool tx_waits, rx_waits;
    struct e1000_context context[2]; /* for checksums alone, and for cutting */
    struct e1000_packet packet;
};

static inline uint32_t *e1000_reg(struct e1000 *dev, unsigned offset)
{
    return &dev->reg[offset / 4];
}

/* e1000.c */
void e1000_cause(struct e1000 *dev, uint32_t causes);
void e1000_count(struct e1000 *dev, unsigned statistic, uint64_t n);

/* e1000_transmit.c: sends what descriptors hold until none is left or the cable takes no more. */
void e1000_transmit(struct e1000 *dev);
void e1000_transmit_reset(struct e1000 *dev);

/* e1000_receive.c: struct netdev's receive; false: no buffers, the frame is offered again. */
bool e1000_receive(void *chip, const uint8_t *frame, size_t size,
                   const struct netdev_offload *offload);

#endif
