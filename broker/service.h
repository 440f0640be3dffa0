/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.h - tells the service manager, if there is one
 */
#ifndef VCMA_BROKER_SERVICE_H
#define VCMA_BROKER_SERVICE_H

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

static inline void service_notify(const char *state)
{
	sd_notify(0, state); /* without a manager it does nothing */
}
#else
static inline void service_notify(const char *state)
{
	(void)state;
}
#endif

#endif /* VCMA_BROKER_SERVICE_H */
