// Package cthreads runs threads of C: some sleep, read and compute all the time, others start and end.
package cthreads

/*
#cgo LDFLAGS: -lpthread
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static volatile long failed;

static void *sleeper(void *unused) {
	for (;;) {
		struct timespec nap = {0, 3000000};
		if (nanosleep(&nap, 0) != 0)
			__sync_fetch_and_add(&failed, 1);
	}
	return unused;
}

static void *reader(void *unused) {
	int fds[2];
	char b;
	if (pipe(fds) != 0 || read(fds[0], &b, 1) != 1)
		__sync_fetch_and_add(&failed, 1);
	return unused;
}

static void *computer(void *unused) {
	double want = 0;
	for (int n = 0;; n++) {
		double x = 1, y = 3;
		for (int i = 0; i < 200000; i++) {
			x = x * 1.0000001 + 1 / y;
			y = y + 0.5 / x;
		}
		if (n == 0)
			want = x + y;
		else if (x + y != want)
			__sync_fetch_and_add(&failed, 1);
	}
	return unused;
}

static void *passer(void *unused) { return unused; }

static void *starter(void *unused) {
	for (;;) {
		pthread_t t;
		if (pthread_create(&t, 0, passer, 0) != 0 || pthread_join(t, 0) != 0)
			__sync_fetch_and_add(&failed, 1);
		usleep(200);
	}
	return unused;
}

static void start(int n) {
	void *(*what[])(void *) = {sleeper, reader, computer, starter};
	sigset_t all, before;
	sigfillset(&all); // a signal's handler would end a nap
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < n; i++) {
		pthread_t t;
		pthread_create(&t, 0, what[i % 4], 0);
	}
	pthread_sigmask(SIG_SETMASK, &before, 0);
}

static long failures(void) { return failed; }
*/
import "C"

// Start starts n threads.
func Start(n int) { C.start(C.int(n)) }

// Failures is how many calls have failed, and results been wrong.
func Failures() int64 { return int64(C.failures()) }
