/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * edu_regs.h - the DMA engine of QEMU's `edu` device, for the test modules
 *
 * It moves bytes between its own memory and the guest's, which takes a timer of
 * 100 ms.  Its registers have 64 bits, which are written all at once, by an
 * access of 8 bytes, or of 4 with zeroes above; the upper halves alone do not
 * exist.
 */
#ifndef EDU_REGS_H
#define EDU_REGS_H

#include <linux/atomic.h>
#include <linux/io.h>
#include <linux/pci.h>

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

#define EDU_DMA_SRC 0x80
#define EDU_DMA_DST 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_CMD 0x98
#define EDU_DMA_RUN BIT(0)
#define EDU_DMA_FROM_EDU BIT(1)
#define EDU_REGS_BYTES 4096

/* Its memory; a transfer that ends at the last of its 4096 bytes ends QEMU. */
#define EDU_MEMORY 0x40000
#define EDU_BYTES_MAX 4088

static inline void edu_write(void __iomem *regs, unsigned int reg, u64 value)
{
#ifdef CONFIG_64BIT
	writeq(value, regs + reg);
#else
	/*
	 * The one kind of instruction by which 32-bit processors write 64 bits at
	 * once.  No hardware need take it for a register, but edu is no hardware.
	 */
	if (upper_32_bits(value))
		atomic64_xchg((atomic64_t __force *)(regs + reg), value);
	else
		writel(value, regs + reg);
#endif
}

static inline bool edu_dma_is_running(void __iomem *regs)
{
	return readl(regs + EDU_DMA_CMD) & EDU_DMA_RUN;
}

/* From the guest's memory at @dma to edu's, or back. */
static inline void edu_dma_start(void __iomem *regs, u64 dma, unsigned int bytes, bool from_edu)
{
	edu_write(regs, EDU_DMA_SRC, from_edu ? EDU_MEMORY : dma);
	edu_write(regs, EDU_DMA_DST, from_edu ? dma : EDU_MEMORY);
	edu_write(regs, EDU_DMA_COUNT, bytes);
	edu_write(regs, EDU_DMA_CMD, EDU_DMA_RUN | (from_edu ? EDU_DMA_FROM_EDU : 0));
}

#endif /* EDU_REGS_H */
