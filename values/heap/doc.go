// Package heap finds the objects that a program keeps: which are alive, of which types they are, what leads to them,
// and which goroutines nothing can wake any more.
//
// [Build] does what the garbage collector does. It marks from package variables, stacks and finalizers, through the
// pointers that the program has noted for its own collector; types only name what is reached. It reads memory that the
// allocator itself describes (runtime.mheap_), by package layout, and all else through package values.
//
// What may not come in: anything that package values itself needs, scripts, rendering. Nothing in values knows of this
// room.
package heap
