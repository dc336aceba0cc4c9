/*
 * strange_names.c: names that lead to the local link.
 *
 * 023_thieves.pl loads it into a server ahead of everything else (LD_PRELOAD).
 * A name in metadata.test is found at an address of the local link, as whoever
 * owns a name may have it; at that one is nobody.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*next) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

	if (node && strstr(node, "metadata.test"))
		node = "169.254.0.1";
	return next(node, service, hints, result);
}
