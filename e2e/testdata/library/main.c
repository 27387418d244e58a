// Loads the Go libraries that it is told, hangs the first one, and keeps it busy.
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

int main(int argc, char **argv) {
	long (*work)(long) = 0;
	for (int i = 1; i < argc; i++) {
		void *lib = dlopen(argv[i], RTLD_NOW);
		void (*start)(void) = lib ? dlsym(lib, "Start") : 0;
		if (!start) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		if (i == 1) {
			work = dlsym(lib, "Work");
			start();
		}
	}
	work(1);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		work(100000);
		nanosleep(&(struct timespec){0, 1000000}, 0);
	}
}
