// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_test - lets a shell script in a guest allocate and judge DMA buffers
 *
 * Binds to QEMU's `edu` (1234:11e8) and `pci-testdev` (1b36:0005) and behaves
 * like any driver that needs big coherent buffers.  It knows nothing of vcma:
 * without virtio_cma.ko it shows what the kernel's own allocator does.
 *
 * Each bound device has two files in its sysfs directory:
 *
 *	/sys/bus/pci/drivers/vcma_test/0000:00:05.0/vcma_test/ctl	(write)
 *	/sys/bus/pci/drivers/vcma_test/0000:00:05.0/vcma_test/result	(read)
 *
 * One command a write.  A command that fails makes the write fail, too, so
 * that `echo COMMAND >ctl || ...` works.  `result` is the line that the last
 * command left: "ok KEY=VALUE ..." or "fail errno=N REASON ...".
 *
 *	mask BITS		set streaming and coherent DMA mask (default 32)
 *	alloc SLOT BYTES [BITS]	dma_alloc_coherent(), with that coherent mask
 *		ok slot=0 size=67108864 dma=0x100000000 end=0x103ffffff aligned=1 inmask=1
 *		fail errno=12 ...
 *	atomic SLOT BYTES	as alloc, with GFP_ATOMIC
 *	fill SLOT SEED		write a pattern that depends on SEED and place
 *	check SLOT SEED		ok if every byte is as fill left it
 *	zero SLOT		ok if every byte is zero
 *		fail errno=5 offset=0x1000 value=0x12 expected=0x00
 *	find SLOT SEED		ok if no 8-byte word is one that fill SEED writes
 *	info SLOT		as alloc's answer
 *	free SLOT		dma_free_coherent()
 *	freeall			all slots
 *	many FIRST COUNT BYTES	alloc for COUNT slots from FIRST; all or none
 *	copy SRC DST		edu only: the device itself reads the first 4096
 *				bytes of slot SRC by DMA, and writes them to DST
 *
 * SLOT is 0 to 1023, numbers are decimal or 0x hexadecimal.  Buffers that are
 * left are freed when the driver is unbound.
 */
