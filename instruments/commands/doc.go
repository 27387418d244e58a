// Package commands is what the commands of ri do, a file each: names and layouts of a program, where values live, what
// changes, cores, the watch, the journal, new instruments and their tests, the doctor.
//
// A command takes its options as Go values, writes to a [rows.Output], and its error says how it ended.
//
// What may not come in: flags and their words (package cmd/ri), and what more than one command needs, which belongs
// further down.
package commands
