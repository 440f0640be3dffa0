/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-machine.c - what happens to a VM as a whole
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qapi/qmp/qdict.h"

/* Registers of q35's LPC bridge, and where the test puts its ACPI ports. */
#define LPC_PMBASE      0x40
#define LPC_ACPI_CTRL   0x44
#define PM_BASE         0xb000

VcmaMachine vcma_machine = {
    .args = "-M q35 -m 64M",
    /* Far above everything that libqos places. */
    .bar64 = 0x800000000ull,
};

char *vcma_migrate_error(QTestState *qts)
{
    gint64 deadline = vcma_deadline();
    QDict *r = qtest_qmp(qts, "{ 'execute': 'migrate', 'arguments': "
                         "{ 'uri': 'exec:cat >/dev/null' } }");
    char *text = NULL;
    bool done = false;

    if (qdict_haskey(r, "error")) {
        text = g_strdup(qdict_get_str(qdict_get_qdict(r, "error"), "desc"));
        done = true;
    }
    qobject_unref(r);
    while (!done) {
        const char *status;

        r = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
        status = qdict_get_try_str(qdict_get_qdict(r, "return"), "status");
        g_assert_cmpstr(status, !=, "failed");
        done = !g_strcmp0(status, "completed");
        qobject_unref(r);
        vcma_nap(deadline, "the migration to end");
    }
    return text;
}

void vcma_suspend(VcmaTest *t)
{
    QPCIDevice *lpc = qpci_device_find(t->qs->pcibus, QPCI_DEVFN(0x1f, 0));

    g_assert_nonnull(lpc);
    qpci_config_writel(lpc, LPC_PMBASE, PM_BASE | 1);
    qpci_config_writeb(lpc, LPC_ACPI_CTRL, 0x80);
    /* PM1 control: sleep type S3, and go. */
    qtest_outw(t->qs->qts, PM_BASE + 4, 1 << 10 | 1 << 13);
    qtest_qmp_eventwait(t->qs->qts, "SUSPEND");
    g_free(lpc);
}

void vcma_wakeup(VcmaTest *t)
{
    qtest_qmp_assert_success(t->qs->qts, "{ 'execute': 'system_wakeup' }");
    qtest_qmp_eventwait(t->qs->qts, "WAKEUP");
}

void vcma_system_reset(VcmaTest *t)
{
    qtest_qmp_assert_success(t->qs->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(t->qs->qts, "RESET");
    if (t->d) {
        vcma_dev_free(t->d);
        t->d = vcma_dev_probe(t->qs, QPCI_DEVFN(4, 0));
    }
}

char *vcma_said(VcmaTest *t)
{
    g_autofree char *log = g_build_filename(t->b->dir, "guest-errors", NULL);
    g_autofree char *all = NULL;
    size_t size, from = t->said;

    g_assert_true(g_file_get_contents(log, &all, &size, NULL));
    g_assert_cmpuint(size, >=, from);
    t->said = size;
    return g_strdup(all + from);
}

void vcma_assert_said(VcmaTest *t, const char *text)
{
    g_autofree char *said = vcma_said(t);

    if (!strstr(said, text)) {
        g_error("'%s' is missing in: %s", text, said);
    }
}

char *vcma_hmp(QTestState *qts, const char *command)
{
    return qtest_hmp(qts, "%s", command);
}
