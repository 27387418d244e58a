// Eintr is a program with threads of C that sleep in system calls which an interruption ends, though no signal handler
// runs (signal(7)). It counts how often that was so, and says it for each line that it reads.
package main

/*
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

static int hits;
static void hit(int n) { if (n < 0 && errno == EINTR) __atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST); }

static void *polls(void *p) {
	int fd = epoll_create1(0);
	struct epoll_event e;
	for (;;) hit(epoll_wait(fd, &e, 1, -1));
}

static void *waits(void *p) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	for (;;) hit(sigwaitinfo(&set, 0));
}

static void *receives(void *p) {
	int s[2];
	char b;
	struct timeval hour = {3600, 0};
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour);
	for (;;) hit(recv(s[0], &b, 1, 0));
}

static void begin(void) {
	void *(*ways[])(void *) = {polls, waits, receives};
	sigset_t all, was;
	pthread_t t;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &was);
	for (int i = 0; i < 3; i++) pthread_create(&t, 0, ways[i], 0);
	pthread_sigmask(SIG_SETMASK, &was, 0);
}

static int count(void) { return __atomic_load_n(&hits, __ATOMIC_SEQ_CST); }
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

var limit = 7

func main() {
	C.begin()
	fmt.Println("ready", limit)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(C.count())
	}
}
