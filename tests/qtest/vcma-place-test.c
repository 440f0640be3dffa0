/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-place-test.c - windows that cannot be: said at start, with a cure
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"

typedef struct Refusal {
    const char *windows;    /* properties of the device */
    const char *cause;
    const char *cure;
} Refusal;

#define FORM "a window is SIZE[@ADDR][:bank=N]"

/* What is written is no window. */
static const Refusal syntax[] = {
    { "normal=", "'normal' has an empty window", FORM },
    { "normal=64M+", "'normal' has an empty window", FORM },
    { "normal=+64M", "'normal' has an empty window", FORM },
    { "normal=64M++64M", "'normal' has an empty window", FORM },
    { "dma32=big", "'big' has no size where it says 'big'", FORM },
    { "dma32=-64M", "no size where it says '-64M'", FORM },
    { "dma32= 64M", "no size where it says ' 64M'", FORM },
    { "dma32=64MB", "goes on with 'B'", FORM },
    { "dma32=64M 64M", "goes on with ' '", FORM },
    { "dma32=64M@", "no address where it says ''", FORM },
    { "dma32=64M@low", "no address where it says 'low'", FORM },
    { "dma32=64M@1G@2G", "goes on with '@'", FORM },
    { "dma32=64M:", "has '' where only 'bank=N' can be", "bank=N" },
    { "dma32=64M:pool=1", "has 'pool=1' where only", "bank=N" },
    { "dma32=64M:bank=", "has bank ''", "0 to 31" },
    { "dma32=64M:bank=one", "has bank 'one'", "0 to 31" },
    { "dma32=64M:bank=-1", "has bank '-1'", "0 to 31" },
    { "dma32=64M:bank=32", "has bank '32'", "0 to 31" },
    { "dma32=64M:bank=4294967297", "has bank '4294967297'", "0 to 31" },
    { "dma32=64M:bank=1:bank=2", "goes on with ':'", FORM },
    { "dma32=64M:bank=1@1G", "goes on with '@'", FORM },
    { "normal=99999999999999999999", "does not fit in 64 bits", "smaller" },
    { "normal=99999999999T", "does not fit in 64 bits", "smaller" },
    { "normal=2M@99999999999T", "does not fit in 64 bits", "smaller" },
    { "normal=1.00000000000000000000x", "goes on with", FORM },
    { "normal=1.5", "'1.5' for a size", "whole bytes" },
    { "normal=2M+2M+2M+2M+2M+2M+2M+2M,dma32=2M+2M+2M+2M+2M+2M+2M+2M+2M",
      "'dma32': a virtio-cma device has at most 16 windows", "larger ones" },
};

/* No window can be like that. */
static const Refusal shape[] = {
    { "normal=64M+0", "'normal': window '0' has no bytes", "2 MiB" },
    { "highmem=0", "'highmem': window '0' has no bytes", "2 MiB" },
    { "dma=0@12M", "'dma': window '0@12M' has no bytes", "2 MiB" },
    { "dma=1M@12M", "'1M@12M' is not a multiple", "2 MiB" },
    { "dma=2M@13M", "'2M@13M' begins within a granule", "2 MiB" },
    { "normal=2M@0xfffffffffff00000", "begins within a granule", "2 MiB" },
    { "normal=4M@0xffffffffffe00000", "ends beyond 2^64", "lower" },
    { "dma=4M", "'dma': window '4M' has no address", "dma=4M@12M" },
    { "dma=4M:bank=0", "has no address", "dma=4M@12M" },
    { "dma32=128M+192M", "'192M' makes the 32-bit BAR too large", "256 MiB" },
    { "dma32=512M", "'512M' makes the 32-bit BAR too large", "256 MiB" },
    { "highmem=4096T", "64-bit BAR too large", "phys-bits" },
    { "normal=8191P,highmem=8191P", "64-bit BAR too large", "phys-bits" },
    { "normal=8E+8E", "64-bit BAR too large", "phys-bits" },
    { "normal=4M:bank=1", "needs bank 1, and vcmad gives VM 'alpha' no such",
      "[bank alpha 1] to vcmad.conf" },
    { "dma=4M@12M:bank=31", "needs bank 31", "[bank alpha 31] to vcmad.conf" },
};

/* Nothing can be there.  The machine has 64 MiB. */
static const Refusal place[] = {
    { "dma=2M@0", "lies in the first MiB", "from 1M on" },
    { "dma=4M@14M", "ends above 16 MiB", "dma=4M@12M" },
    { "dma=2M@16M", "ends above 16 MiB", "'dma32'" },
    { "dma32=64M@1G", "is not inside the RAM", "64 MiB (0x4000000)" },
    { "dma32=4M@62M", "is not inside the RAM", "-m" },
    { "dma32=2M@3G", "is not inside the RAM", "lower address" },
    { "normal=2M@4G", "is not inside the RAM", "lower address" },
    { "normal=2M@1T", "is not inside the RAM", "lower address" },
    { "dma32=2M@4094M", "overlaps 'pc.bios'", "another address" },
    { "dma32=2M@0xfec00000", "overlaps 'ioapic'", "another address" },
    { "dma32=4M@0xfe600000", "is not inside the RAM", "lower address" },
    { "dma32=4M@4094M", "ends above 4 GiB", "'normal'" },
    { "dma32=2M@4G", "ends above 4 GiB", "'normal'" },
    { "dma=4M@8M+4M@10M", "'4M@10M' overlaps window '4M@8M' of property 'dma'",
      "another address" },
    { "dma=4M@8M,dma32=16M@4M", "overlaps window '16M@4M' of property 'dma32'",
      "another address" },
    { "dma32=4M@32M,normal=4M@32M", "overlaps window '4M@32M' of property "
      "'normal'", "another address" },
    { "dma=4M@12M' -object vcma-broker,id=b1,path=%s/beta.sock "
      "-device 'virtio-cma-pci,broker=b1,dma32=8M@14M",
      "overlaps a window of another virtio-cma device", "another address" },
};

static void refuse(const Refusal *bad, size_t n, const char *machine)
{
    VcmaBroker *b = vcma_broker_new(NULL);

    for (size_t i = 0; i < n; i++) {
        const char *second = strstr(bad[i].windows, "%s");
        g_autofree char *windows = second ?
            g_strdup_printf("%.*s%s%s", (int)(second - bad[i].windows),
                            bad[i].windows, b->dir, second + 2) :
            g_strdup(bad[i].windows);
        g_autofree char *args = g_strdup_printf(
            "-M %s -object vcma-broker,id=b0,path=%s/alpha.sock "
            "-device 'virtio-cma-pci,broker=b0,%s'", machine, b->dir,
            windows);

        vcma_qemu_refuses(args, bad[i].cause, bad[i].cure);
    }
    vcma_broker_free(b);
}

static void test_syntax(void)
{
    refuse(syntax, G_N_ELEMENTS(syntax), "q35");
}

static void test_shape(void)
{
    refuse(shape, G_N_ELEMENTS(shape), "q35");
}

static void test_place(const void *machine)
{
    refuse(place, G_N_ELEMENTS(place), machine);
}

/* A machine that virtio-cma knows nothing of: BARs work there. */
static void test_other_machine(void)
{
    static const Refusal fixed[] = {
        { "dma=4M@12M", "is for the machines q35, pc and virt", "leave '@'" },
        { "normal=512M", "64-bit BAR too large", "256 MiB" },
    };

    refuse(fixed, G_N_ELEMENTS(fixed), "microvm,pcie=on");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/place/syntax", test_syntax);
    qtest_add_func("vcma/place/shape", test_shape);
    qtest_add_data_func("vcma/place/place/q35", "q35", test_place);
    qtest_add_data_func("vcma/place/place/pc", "pc", test_place);
    qtest_add_func("vcma/place/other-machine", test_other_machine);
    return g_test_run();
}
