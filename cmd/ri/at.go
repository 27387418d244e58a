package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"ri/files"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/client"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// atVariable says where the agent is if --at doesn't.
const atVariable = "RI_AT"

// atGiven tells whether a command may be for elsewhere, before it is known what it is.
func atGiven(args []string) bool {
	if os.Getenv(atVariable) != "" {
		return true
	}
	if dash := slices.Index(args, "--"); dash >= 0 {
		args = args[:dash]
	}
	return slices.ContainsFunc(args, func(a string) bool { return a == "--at" || strings.HasPrefix(a, "--at=") })
}

// errHere has a command done here.
var errHere = errors.New("here")

// elsewhere takes a command line apart that is for an agent; nil: it is to be done here. So is what is misspelt: what
// is to be said of that is said without an agent.
func elsewhere(args []string) (asked *request.Request, at string) {
	root := newRoot().Command
	at = os.Getenv(atVariable)
	cmd, rest, err := root.Find(negativesLast(root, args))
	if err != nil || cmd.DisableFlagParsing {
		return nil, ""
	}
	cmd.InitDefaultHelpFlag()
	cmd.InheritedFlags() // merges them
	asked = &request.Request{Command: strings.Fields(strings.TrimPrefix(cmd.CommandPath(), root.Name()))}
	flags := cmd.Flags()
	var names []string
	err = flags.ParseAll(rest, func(f *pflag.Flag, value string) error {
		switch f.Name {
		case "at":
			at = value
			return nil
		case "help":
			return errHere
		}
		names = append(names, f.Name)
		asked.Flags = append(asked.Flags, request.Flag{Name: f.Name, Value: value})
		return flags.Set(f.Name, value)
	})
	if err != nil || cmd.ValidateArgs(flags.Args()) != nil ||
		request.Here(strings.Join(asked.Command, " "), names) || at == "" {
		return nil, ""
	}
	asked.Args = flags.Args()
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		asked.Args, asked.After, asked.Dashed = asked.Args[:dash:dash], asked.Args[dash:], true
	}
	return asked, at
}

// ask has an agent do a command, and gives what ri exits with.
func ask(asked *request.Request, at string) int {
	code, err := askAgent(asked, at)
	if err != nil {
		fmt.Fprintf(stderr, "ri: %s\n", err.Error())
		if code == 0 {
			code = atExitCode(err)
		}
	}
	return code
}

// atExitCode is that of a command which no agent has ended.
func atExitCode(err error) int {
	switch {
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrRefused):
		return exitRefused
	case errors.Is(err, context.Canceled):
		return exitSignal + int(syscall.SIGINT)
	}
	return exitCode(err)
}

func askAgent(asked *request.Request, at string) (int, error) {
	place, err := method.Find(at)
	if err != nil {
		return 0, rows.Usage(err)
	}
	if asked.Folder, err = os.Getwd(); err != nil {
		return 0, err
	}
	for _, name := range request.Environment {
		if value, set := os.LookupEnv(name); set {
			asked.Env = append(asked.Env, name+"="+value)
		}
	}
	streams := client.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	terminals := request.Terminals{In: term.IsTerminal(int(os.Stdin.Fd())),
		Out: term.IsTerminal(int(os.Stdout.Fd())), Err: term.IsTerminal(int(os.Stderr.Fd()))}
	asked.Input = asked.Reads() || asked.Keys() && terminals.In && terminals.Out
	terminals.In = terminals.In && asked.Input
	terminals.Raw = terminals.In
	for _, fd := range []uintptr{os.Stdout.Fd(), os.Stderr.Fd(), os.Stdin.Fd()} {
		if width, height, err := term.GetSize(int(fd)); err == nil {
			terminals.Width, terminals.Height = width, height
			break
		}
	}
	if terminals.In || terminals.Out || terminals.Err {
		asked.Terminal = &terminals
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	c, err := dialAgent(ctx, place, func(text string) { fmt.Fprintln(stderr, text) })
	if ctx.Err() != nil {
		err = context.Canceled
	}
	stop()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.Run(context.Background(), asked, streams)
}

func dialAgent(ctx context.Context, place method.Place, say func(string)) (*client.Client, error) {
	opt := client.Options{Version: commands.OwnVersion(), Say: say}
	if slices.ContainsFunc(place.Methods, func(m method.Method) bool { return m.TLS }) {
		var err error
		if opt.Identity, err = ownIdentity(place.TLS); err != nil {
			return nil, rows.Refused(err)
		}
	}
	return client.Dial(ctx, place.Methods, opt)
}

// tlsVariable names the file of who one is, for TLS.
const tlsVariable = "RI_TLS"

// ownIdentity is who asks: what hosts.yaml says, else the environment, else the default; nil if there is none.
func ownIdentity(path string) (*pki.Identity, error) {
	if path == "" {
		path = os.Getenv(tlsVariable)
	}
	if path == "" {
		path = filepath.Join(files.ConfigFolder(), "ri", "tls.pem")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	return pki.Load(path, "")
}

// workerFailed is what a worker exits with that could not become what it was to be.
func workerFailed(err error) int {
	if errors.Is(err, io.EOF) {
		return exitDone
	}
	fmt.Fprintf(stderr, "ri: a worker: %s\n", err.Error())
	return exitFailed
}
