package request

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Role is what somebody may. Each includes those before it.
type Role int

// The roles. Nobody has one by default.
const (
	None     Role = iota
	Viewer        // recipes of the agent's own catalogue by name, with what they show redacted
	Author        // scripts, expressions, traces, recordings: all that reads
	Operator      // changes
)

var roleNames = []string{"none", "viewer", "author", "operator"}

func (r Role) String() string {
	if r < None || r > Operator {
		return "none"
	}
	return roleNames[r]
}

// May says what who has a role may do, see docs/serving.md.
func (r Role) May() string {
	switch r {
	case Viewer:
		return "check and recipes of the agent's own, redacted; no scripts, expressions, traces, recordings or changes"
	case Author:
		return "all that looks, scripts, expressions, traces and recordings too; no changes"
	case Operator:
		return "all, changes too"
	}
	return "nothing"
}

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames, name); i > 0 {
		return Role(i), nil
	}
	return None, fmt.Errorf("no role %q: there are viewer, author and operator", name)
}

// Kind is what a flag's value stands for.
type Kind int

// Kinds of flags.
const (
	Unknown Kind = iota
	Plain
	In     // a file of the asker's, which travels
	Out    // a file or folder of the asker's, in which arrives what is made
	Theirs // a file or folder of the agent's: nobody names it from elsewhere
	Local  // it makes the command one that is done where it is typed: its target is a file there
	// Lines are command lines of ri: the request has them taken apart, in its Commands.
	Lines
)

// rule is what is to be known of a command.
type rule struct {
	role  Role
	local bool // done where it is typed: it looks at no process
	flags map[string]Kind
	// needs has flags that need another role.
	needs map[string]Role
	args  func(args []string) []string // those that are files of the asker's
	made  func(args []string) []string // those that are made
}

func flagsOf(lists ...string) map[string]Kind {
	kinds := map[string]Kind{"output": Out, "json": Plain, "ndjson": Plain, "quiet": Plain}
	for _, list := range lists {
		for word := range strings.FieldsSeq(list) {
			name, kind, _ := strings.Cut(word, ":")
			kinds[name] = map[string]Kind{"": Plain, "in": In, "out": Out, "theirs": Theirs, "local": Local,
				"lines": Lines}[kind]
		}
	}
	return kinds
}

// Flags that commands share.
const (
	process  = "pid "
	target   = process + "core:local exe:in recording:local identity:in symbols:in debuginfod "
	copying  = "wait max-stop precopy spool:theirs "
	look     = "view max-time ignore-lock write yes dry-run journal:theirs " + copying
	recipes  = "recipes:in "
	profile  = "pprof:out folded:out "
	arranged = "where sort group sum watch limit "
	redacted = "policy:in key-file:in deny-numbers encrypt-to:in "
)

// changes are the flags by which something is changed.
var changes = map[string]Role{"write": Operator, "yes": Operator}

var table = map[string]rule{
	"ps":      {role: Viewer, flags: flagsOf(arranged), needs: map[string]Role{"watch": Author}},
	"version": {role: Viewer, flags: flagsOf()},
	"doctor": {role: Viewer, flags: flagsOf(process, copying, "verify max-time"), needs: map[string]Role{"verify": Author,
		"pid": Author, "precopy": Author}},
	"recipes": {role: Viewer, flags: flagsOf(target, recipes, "verbose", "all"), needs: map[string]Role{"recipes": Author,
		"symbols": Author, "debuginfod": Author}},
	"show": {role: Viewer, flags: flagsOf(recipes), needs: map[string]Role{"recipes": Author}, args: scripts},
	"run": {role: Viewer, args: scripts,
		flags: flagsOf(target, look, recipes, profile, arranged, redacted, "show-lua budget label allow:theirs"),
		needs: map[string]Role{"write": Operator, "yes": Operator, "recipes": Author, "symbols": Author, "debuginfod": Author,
			"view": Author, "precopy": Author, "max-time": Author, "ignore-lock": Author, "pprof": Author, "folded": Author,
			"budget": Author, "policy": Author, "key-file": Author, "dry-run": Author, "wait": Author, "encrypt-to": Author,
			"deny-numbers": Author, "watch": Author}},
	"check": {role: Viewer, flags: flagsOf(target, look, recipes, arranged, "interval only skip"), needs: map[string]Role{
		"write": Operator, "yes": Operator, "recipes": Author, "symbols": Author, "debuginfod": Author, "view": Author,
		"precopy": Author, "max-time": Author, "ignore-lock": Author, "dry-run": Author, "wait": Author, "watch": Author}},

	"tables": {role: Viewer, flags: flagsOf(process, copying, recipes, "max-time database transact owns write "+
		"journal:theirs"), needs: map[string]Role{"write": Operator, "recipes": Author, "precopy": Author,
		"max-time": Author, "wait": Author}},

	"exec": {role: Author, needs: changes,
		flags: flagsOf(target, look, recipes, profile, arranged, "eval lock label allow:theirs"),
		args:  func(args []string) []string { return args }},
	"print":  {role: Author, flags: flagsOf(target, look, "depth"), needs: changes},
	"report": {role: Author, flags: flagsOf(target, look, recipes, "only skip"), needs: changes},
	"shell":  {role: Author, flags: flagsOf(target, look, recipes), needs: changes},
	"attach": {role: Author, flags: flagsOf(look, recipes), needs: changes},
	"find":   {role: Author, flags: flagsOf(target, look, "depth heap max"), needs: changes},
	"path":   {role: Author, flags: flagsOf(target, look), needs: changes},
	"diff":   {role: Author, flags: flagsOf(target, look, recipes, "interval depth"), needs: changes},
	"top":    {role: Author, flags: flagsOf(target, look, "interval count depth"), needs: changes},
	"trace": {role: Author, flags: flagsOf(target, redacted, "when when-after show steps returns stack count hist limit "+
		"for redact otlp:theirs budget windows depth bytes places panic-on-warn")},
	"types":  {role: Author, flags: flagsOf(target, "all")},
	"vars":   {role: Author, flags: flagsOf(target)},
	"funcs":  {role: Author, flags: flagsOf(target)},
	"whatis": {role: Author, flags: flagsOf(target, look, "depth"), needs: changes},
	"record": {role: Author, flags: flagsOf(target, copying, recipes, redacted, "max-time exec:in all heap every for "+
		"symbols-whole")},
	"record calls": {role: Author, flags: flagsOf(target, "also not places for limit budget bytes text elems policy:in "+
		"key-file:in deny-numbers")},
	"record streams": {role: Author, flags: flagsOf(target, "payload sent listen to all copy:theirs copy-raw:theirs "+
		"with-keys no-random for limit policy:in key-file:in")},
	"core":  {role: Author, flags: flagsOf(process, copying, "recording:local all")},
	"crash": {role: Author, flags: flagsOf(target, look, recipes), needs: changes},
	"dlv": {role: Author, flags: flagsOf(process, "core:local exe:in recording:local identity:in ", copying,
		"symbols:in debuginfod all headless listen")},
	"watch": {role: Author, flags: flagsOf(target, "on-exit:lines record:out max-hold")},
	"new":   {role: Author, flags: flagsOf(target, "expr"), made: newFiles},

	"set":  {role: Operator, flags: flagsOf(target, look, "was label")},
	"undo": {role: Operator, flags: flagsOf(process, look, "force label labelled")},
	"log":  {role: Author, flags: flagsOf("more journal:theirs")},

	"log compact":  {role: Operator, flags: flagsOf("journal:theirs")},
	"log truncate": {role: Operator, flags: flagsOf("journal:theirs all yes")},

	"recording": {local: true}, "recording info": {local: true}, "recording verify": {local: true},
	"recording check": {local: true}, "recording export": {local: true}, "recording redact": {local: true},
	"replay": {local: true}, "replay generate": {local: true}, "lint": {local: true}, "test": {local: true},
	"lua-api": {local: true}, "completion": {local: true}, "man": {local: true}, "no-help": {local: true},
	"help": {local: true},
	"":     {local: true}, "__complete": {local: true}, "__completeNoDesc": {local: true}, "serve": {local: true},
	"fleet": {local: true}, "fleet db": {local: true}, "fleet schema": {local: true}, "fleet hosts": {local: true},
	"fleet targets": {local: true}, "fleet run": {local: true}, "fleet check": {local: true},
	"fleet simulate": {local: true}, "fleet runs": {local: true}, "fleet show": {local: true},
	"fleet cancel": {local: true}, "fleet rerun": {local: true}, "fleet exec": {local: true}, "fleet print": {local: true},
	"fleet tenant": {local: true}, "fleet tenant create": {local: true}, "fleet tenant list": {local: true},
	"fleet tenant show": {local: true}, "fleet tenant delete": {local: true}, "fleet tenant token": {local: true},
	"fleet device": {local: true}, "fleet device create": {local: true}, "fleet device list": {local: true},
	"fleet device show": {local: true}, "fleet device delete": {local: true},
	"fleet trace": {local: true}, "fleet trace create": {local: true}, "fleet trace list": {local: true},
	"fleet trace show": {local: true}, "fleet trace enable": {local: true}, "fleet trace disable": {local: true},
	"fleet trace delete": {local: true}, "fleet trace hosts": {local: true}, "fleet trace flows": {local: true},
	"fleet set": {local: true}, "fleet undo": {local: true}, "fleet record": {local: true},
	"pki": {local: true}, "pki init": {local: true}, "pki issue": {local: true}, "pki renew": {local: true},
	"pki revoke": {local: true}, "pki list": {local: true},
}

// scripts is the first argument if it is a Lua file, and no recipe's name.
func scripts(args []string) []string {
	if len(args) > 0 && (strings.HasSuffix(args[0], ".lua") || strings.Contains(args[0], "/")) {
		return args[:1]
	}
	return nil
}

// newFiles are what ri new makes.
func newFiles(args []string) []string {
	var made []string
	for _, a := range args {
		made = append(made, a+".lua", a+".yaml")
	}
	return made
}

// Known tells whether the table has a command, and with it a flag; for tests.
func Known(command, flag string) bool {
	r, ok := table[command]
	return ok && (flag == "" || r.local || r.flags[flag] != Unknown)
}

// Here tells whether a command is done where it is typed, and never at an agent.
func Here(command string, flags []string) bool {
	r, ok := table[command]
	if !ok || r.local {
		return true
	}
	return slices.ContainsFunc(flags, func(f string) bool { return r.flags[f] == Local })
}

func flagKind(command []string, flag string) Kind {
	return table[strings.Join(command, " ")].flags[flag]
}

// Errors that an agent answers.
var (
	// ErrNotAllowed: the caller's role doesn't cover it.
	ErrNotAllowed = errors.New("not allowed")
	// ErrUnknown: another version of ri may know it.
	ErrUnknown = errors.New("not known to this agent")
)

// Allowed refuses what a role doesn't cover, and what nobody may ask from elsewhere.
func (r *Request) Allowed(role Role) error {
	name := strings.Join(r.Command, " ")
	rule, ok := table[name]
	if !ok {
		return fmt.Errorf("ri %s is %w", name, ErrUnknown)
	}
	if rule.local {
		return fmt.Errorf("ri %s looks at no process, and is done where it is typed: %w", name, ErrNotAllowed)
	}
	least, why := rule.role, "ri "+name
	need := func(role Role, what string) {
		if role > least {
			least, why = role, what
		}
	}
	for _, f := range r.Flags {
		switch rule.flags[f.Name] {
		case Unknown:
			return fmt.Errorf("--%s of ri %s is %w", f.Name, name, ErrUnknown)
		case Theirs:
			return fmt.Errorf("--%s names what lies at the agent's, and can't be given from elsewhere: %w", f.Name,
				ErrNotAllowed)
		case Local:
			return fmt.Errorf("--%s names a file, which is looked at where it lies: %w", f.Name, ErrNotAllowed)
		}
		if f.Value != "false" {
			need(rule.needs[f.Name], "--"+f.Name)
		}
	}
	if len(scripts(r.Args)) > 0 && rule.args != nil {
		need(Author, "a script of yours")
	}
	if len(r.After) > 0 && (name == "record calls" || name == "record streams") {
		return fmt.Errorf("a program is not started from elsewhere: %w", ErrNotAllowed)
	}
	for _, a := range r.Args {
		if strings.HasPrefix(a, "-") && a != "-" {
			return fmt.Errorf("the argument %q would be taken for a flag: %w", a, ErrMalformed)
		}
	}
	if !filepath.IsAbs(r.Folder) || filepath.Clean(r.Folder) != r.Folder {
		return fmt.Errorf("the folder %q is not an absolute path: %w", r.Folder, ErrMalformed)
	}
	if err := r.allowedLines(role); err != nil {
		return err
	}
	if role < least {
		return fmt.Errorf("%s needs the role %s, and you have %s: %w", why, least, role, ErrNotAllowed)
	}
	return nil
}

// allowedLines refuses command lines that name another target than the request, or that somebody may not ask for alone.
func (r *Request) allowedLines(role Role) error {
	rule, lines := table[strings.Join(r.Command, " ")], 0
	for _, f := range r.Flags {
		if rule.flags[f.Name] == Lines {
			lines++
		}
	}
	if lines != len(r.Commands) {
		return fmt.Errorf("%d command lines, and %d taken apart: %w", lines, len(r.Commands), ErrMalformed)
	}
	for _, c := range r.commands() {
		name := strings.Join(c.Command, " ")
		if c.Target() != "" || len(c.Commands) > 0 || slices.Contains(PowerNames, name) {
			return fmt.Errorf("ri %s is run on the process that ri %s has, and neither on another one nor with a terminal: %w",
				c.Text(), strings.Join(r.Command, " "), ErrNotAllowed)
		}
		if table[name].flags["pid"] == Unknown {
			return fmt.Errorf("ri %s looks at no process: %w", name, ErrNotAllowed)
		}
		if err := c.Allowed(role); err != nil {
			return err
		}
	}
	return nil
}

// commands are the request's Commands, each in its folder.
func (r *Request) commands() []Request {
	all := slices.Clone(r.Commands)
	for i := range all {
		all[i].Folder = r.Folder
	}
	return all
}

// PowerNames are powers that reach outside of a process, and that an agent gives: dlv, whose terminal reads and writes
// files by commands of its own.
var PowerNames = []string{"dlv"}

// Outside are those of an agent's powers that let scripts reach outside of processes: http=HOST:PORT and the like.
func Outside(allowed []string) (out []string) {
	for _, a := range allowed {
		if strings.Contains(a, "=") {
			out = append(out, a)
		}
	}
	return out
}

// Powers refuses what needs a power that the agent doesn't give.
func (r *Request) Powers(allowed []string) error {
	name := strings.Join(r.Command, " ")
	if !slices.Contains(PowerNames, name) || slices.Contains(allowed, name) || r.Listens() {
		return nil
	}
	return fmt.Errorf("the terminal of Delve reads and writes files at the agent's, which this agent doesn't allow from "+
		"another machine (ri serve --allow %s): ri core -o FILE and ri dlv -c FILE look at a copy here: %w", name,
		ErrNotAllowed)
}

// targetless are the commands that say nothing of any process.
var targetless = []string{"version", "show", "recipes", "log"}

// Within refuses what is of another process than those; nil: all may be asked of.
func (r *Request) Within(only []string) error {
	name := strings.Join(r.Command, " ")
	target := r.Target()
	if len(only) == 0 || slices.Contains(only, target) || target == "" && slices.Contains(targetless, name) {
		return nil
	}
	return fmt.Errorf("this agent answers for process %s alone (ri serve -p), and needs to be told so: -p %s: %w",
		strings.Join(only, ", "), only[0], ErrNotAllowed)
}

// Paths are what the request names of the asker's: what is read, and what is made.
func (r *Request) Paths() (read, made []string) {
	rule := table[strings.Join(r.Command, " ")]
	for _, f := range r.Flags {
		if f.Value == "" || f.Value == "-" {
			continue
		}
		switch rule.flags[f.Name] {
		case In:
			read = append(read, f.Value)
			if f.Name == "key-file" { // made where it isn't there
				made = append(made, f.Value)
			}
		case Out:
			made = append(made, f.Value)
		}
	}
	if rule.args != nil {
		read = append(read, rule.args(r.Args)...)
	}
	if rule.made != nil {
		made = append(made, rule.made(r.Args)...)
	}
	for _, c := range r.Commands {
		in, out := c.Paths()
		read, made = append(read, in...), append(made, out...)
	}
	return read, made
}

func (r *Request) placeArgument(root, arg string) string {
	rule := table[strings.Join(r.Command, " ")]
	if rule.args != nil && slices.Contains(rule.args(r.Args), arg) {
		return r.place(root, arg)
	}
	return arg
}

// readers are the commands that read what is typed, or piped in, whatever their flags.
var readers = []string{"shell", "attach", "dlv"}

// Reads tells whether the command reads its standard input: a prompt, or a question before a change.
func (r *Request) Reads() bool {
	if slices.Contains(readers, strings.Join(r.Command, " ")) {
		return !r.Listens()
	}
	return (r.given("write") || len(r.Command) == 2 && r.Command[1] == "truncate") && !r.given("yes")
}

func (r *Request) given(name string) bool {
	return slices.ContainsFunc(r.Flags, func(f Flag) bool { return f.Name == name && f.Value != "false" })
}

// Listens tells whether the command is talked to by programs, which come to an address at the asker's: ri dlv
// --headless, whose API reads and writes no files.
func (r *Request) Listens() bool {
	return strings.Join(r.Command, " ") == "dlv" && r.given("headless")
}

// ListensAt is the address, as it was given; "": any.
func (r *Request) ListensAt() (address string) {
	for _, f := range r.Flags {
		if f.Name == "listen" {
			address = f.Value
		}
	}
	return address
}

// ListenAt has the request say where the asker listens.
func (r *Request) ListenAt(address string) {
	r.Flags = slices.DeleteFunc(r.Flags, func(f Flag) bool { return f.Name == "listen" })
	r.Flags = append(r.Flags, Flag{"listen", address})
}

// Keys tells whether the command listens for keys where it is on a terminal: what is refreshed in place ends with q.
func (r *Request) Keys() bool {
	return strings.Join(r.Command, " ") == "top" ||
		slices.ContainsFunc(r.Flags, func(f Flag) bool { return f.Name == "watch" && f.Value != "0" })
}

// IsLines tells whether a flag's values are command lines of ri.
func IsLines(command []string, flag string) bool { return flagKind(command, flag) == Lines }

// IsPlain tells whether a flag's value names no file, by the table; for tests.
func IsPlain(command, flag string) bool {
	r := table[command]
	return !r.local && r.flags[flag] == Plain
}
