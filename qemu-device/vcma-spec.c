/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-spec: windows as the command line names them
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "vcma_broker.h"
#include "vcma-spec.h"

#define VCMA_SPEC_FORM "a window is SIZE[@ADDR][:bank=N], as in 64M, " \
                       "64M@1G or 64M:bank=1, and '+' stands between two"

void vcma_spec_error(const VcmaSpec *spec, Error **errp, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(errp, "property '%s': window '%s' %s", spec->prop, spec->text,
               text);
}

/* A number with an optional suffix at *@at, which is moved behind it. */
static bool vcma_spec_number(const VcmaSpec *spec, const char *what,
                             const char **at, uint64_t *ret, Error **errp)
{
    const char *end;
    int err;

    if (!qemu_isdigit(**at)) {
        vcma_spec_error(spec, errp, "has no %s where it says '%s'; %s", what,
                        *at, VCMA_SPEC_FORM);
        return false;
    }
    err = qemu_strtosz(*at, &end, ret);
    if (err == -ERANGE) {
        vcma_spec_error(spec, errp, "has a number for its %s that does not "
                        "fit in 64 bits; choose a smaller one", what);
        return false;
    }
    if (err) {
        vcma_spec_error(spec, errp, "has '%s' for a %s; write whole bytes, or "
                        "a number with K, M, G or T", *at, what);
        return false;
    }
    *at = end;
    return true;
}

static bool vcma_spec_bank(VcmaSpec *spec, const char **at, Error **errp)
{
    unsigned int bank;
    const char *value;

    if (!strstart(*at, "bank=", &value)) {
        vcma_spec_error(spec, errp, "has '%s' where only 'bank=N' can be", *at);
        return false;
    }
    if (!qemu_isdigit(*value) || qemu_strtoui(value, at, 10, &bank) ||
        bank >= VCMA_BANKS_MAX) {
        vcma_spec_error(spec, errp, "has bank '%s'; a bank is a number from 0 "
                        "to %d", value, VCMA_BANKS_MAX - 1);
        return false;
    }
    spec->bank = bank;
    return true;
}

static bool vcma_spec_parse(VcmaSpec *spec, Error **errp)
{
    const char *at = spec->text;

    if (!*at) {
        error_setg(errp, "property '%s' has an empty window; %s", spec->prop,
                   VCMA_SPEC_FORM);
        return false;
    }
    if (!vcma_spec_number(spec, "size", &at, &spec->size, errp)) {
        return false;
    }
    if (*at == '@') {
        at++;
        spec->fixed = true;
        if (!vcma_spec_number(spec, "address", &at, &spec->addr, errp)) {
            return false;
        }
    }
    if (*at == ':') {
        at++;
        if (!vcma_spec_bank(spec, &at, errp)) {
            return false;
        }
    }
    if (*at) {
        vcma_spec_error(spec, errp, "goes on with '%c' where it should end; %s",
                        *at, VCMA_SPEC_FORM);
        return false;
    }
    return true;
}

bool vcma_specs_parse(VcmaSpecs *specs, const char *prop, uint16_t zone,
                      const char *text, Error **errp)
{
    g_auto(GStrv) word = g_strsplit(text, "+", -1);
    unsigned int i;

    if (!*text) {
        word = g_renew(char *, word, 2);
        word[0] = g_strdup("");
        word[1] = NULL;
    }
    for (i = 0; word[i]; i++) {
        VcmaSpec *spec = &specs->spec[specs->nr];

        if (specs->nr == VIRTIO_CMA_WINDOWS_MAX) {
            error_setg(errp, "property '%s': a virtio-cma device has at most "
                       "%d windows; make larger ones, or use a second device "
                       "and VM of vcmad", prop, VIRTIO_CMA_WINDOWS_MAX);
            return false;
        }
        specs->nr++;
        *spec = (VcmaSpec) {
            .prop = prop,
            .text = g_strdup(word[i]),
            .zone = zone,
        };
        if (!vcma_spec_parse(spec, errp)) {
            return false;
        }
    }
    return true;
}

void vcma_specs_clear(VcmaSpecs *specs)
{
    while (specs->nr) {
        g_clear_pointer(&specs->spec[--specs->nr].text, g_free);
    }
}
