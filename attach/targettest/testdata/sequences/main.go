// Sequences has threads of C count in restartable sequences (rseq(2)), which the kernel begins anew when a thread is
// interrupted in them. It prints a line with its pid, and for each line on standard input how often was counted, by the
// counters of the processors and by those of the threads: the same, unless a sequence went on after an interruption.
package main

/*
#cgo LDFLAGS: -lpthread
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/rseq.h>

static struct { volatile uint64_t n; char pad[56]; } counters[1024], threads[64];
static volatile int halt;
static volatile int running;

// add counts one on this processor; 0 if it was interrupted. It spins before it commits, so that most of a thread's
// time is in the sequence.
static int add(void) {
	struct rseq *r = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	uint32_t cpu = *(volatile uint32_t *)&r->cpu_id_start;
	uint64_t done = 0;
	__asm__ volatile(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n\t"
		"3: .long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		"leaq 3b(%%rip), %%rax\n\t"
		"movq %%rax, %[cs]\n\t"
		"1:\n\t"
		"cmpl %[cpu], %[cpuid]\n\t"
		"jnz 6f\n\t"
		"movq (%[counter]), %%rax\n\t"
		"movl $200000, %%ecx\n\t"
		"5: decl %%ecx\n\t"
		"jnz 5b\n\t"
		"incq %%rax\n\t"
		"movq %%rax, (%[counter])\n\t"
		"2:\n\t"
		"movq $1, %[done]\n\t"
		"jmp 6f\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"
		".long 0x53053053\n\t"
		"4:\n\t"
		"6:\n\t"
		: [done] "+r"(done), [cs] "=m"(r->rseq_cs)
		: [cpu] "r"(cpu), [cpuid] "m"(r->cpu_id), [counter] "r"(&counters[cpu % 1024].n)
		: "rax", "rcx", "memory", "cc");
	return (int)done;
}

static void *count(void *p) {
	while (!halt)
		((volatile uint64_t *)p)[0] += add();
	__sync_fetch_and_sub(&running, 1);
	return p;
}

static int supported(void) { return __rseq_size > 0; }

static void start(int n) {
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < n; i++) {
		pthread_t t;
		__sync_fetch_and_add(&running, 1);
		pthread_create(&t, 0, count, (void *)&threads[i].n);
	}
	pthread_sigmask(SIG_SETMASK, &before, 0);
}

static uint64_t counted(int by_threads) {
	uint64_t sum = 0;
	if (by_threads)
		for (int i = 0; i < 64; i++)
			sum += threads[i].n;
	else
		for (int i = 0; i < 1024; i++)
			sum += counters[i].n;
	return sum;
}

static void finish(void) { halt = 1; }
static int left(void) { return running; }
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	if C.supported() == 0 {
		fmt.Println(0) // this kernel has no rseq
		return
	}
	C.start(4)
	fmt.Println(os.Getpid())
	bufio.NewScanner(os.Stdin).Scan()
	C.finish()
	for C.left() > 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(C.counted(0), C.counted(1))
}
