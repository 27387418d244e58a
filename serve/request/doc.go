// Package request is what crosses between who asks and an agent: a command of ri, taken apart, with the files that it
// names and what there is to know of the terminal; and the table that says of each command and flag which role it
// needs, and where what it names lies.
//
// What may not come in: connections, processes, how a command line is written.
package request
