package main

import (
	"context"
	"crypto/tls"
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
	"ri/outside"
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
	asked, at, err := takeApart(args)
	if err != nil || at == "" {
		return nil, ""
	}
	return asked, at
}

// takeApart is a command line of ri, and the agent that it is for. errHere: it is done where it is typed.
func takeApart(args []string) (asked *request.Request, at string, err error) {
	root := newRoot().Command
	at = os.Getenv(atVariable)
	cmd, rest, err := root.Find(negativesLast(root, args))
	if err != nil {
		return nil, "", err
	}
	if cmd.DisableFlagParsing || !cmd.Runnable() {
		return nil, "", errHere
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
		given := request.Flag{Name: f.Name, Value: value}
		if request.IsLines(asked.Command, f.Name) {
			words, err := commands.RiLine(value)
			if err != nil {
				return err
			}
			if err := checkLine(words); err != nil {
				return err
			}
			one, _, err := takeApart(words)
			if err != nil {
				return err
			}
			given.Value, asked.Commands = "", append(asked.Commands, *one)
		}
		asked.Flags = append(asked.Flags, given)
		return flags.Set(f.Name, value)
	})
	if err == nil {
		err = cmd.ValidateArgs(flags.Args())
	}
	if err == nil && request.Here(strings.Join(asked.Command, " "), names) {
		err = errHere
	}
	if err != nil {
		return nil, "", err
	}
	asked.Args = flags.Args()
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		asked.Args, asked.After, asked.Dashed = asked.Args[:dash:dash], asked.Args[dash:], true
	}
	return asked, at, nil
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
	if asked.Listens() {
		streams.Listener, err = commands.ListenForDlv(asked.ListensAt(), func(text string) { fmt.Fprintln(stderr, text) })
		if err != nil {
			return 0, err
		}
		defer streams.Listener.Close()
		asked.ListenAt(streams.Listener.Addr().String())
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

// site is how TLS is spoken to databases: as who one is, or as a file says.
func site(file, revoked string) outside.Site {
	return func(host string) (*tls.Config, error) {
		var own *pki.Identity
		var err error
		if file == "" {
			own, err = ownIdentity("")
		} else {
			own, err = pki.Load(file, revoked)
		}
		if err == nil && own == nil {
			err = errors.New("TLS needs a certificate that says who you are: RI_TLS or ~/.config/ri/tls.pem (ri pki issue " +
				"makes it), or an agent's (ri serve --tls)")
		}
		if err != nil {
			return nil, err
		}
		return own.Config(pki.IsAgent, host), nil
	}
}

// workerFailed is what a worker exits with that could not become what it was to be.
func workerFailed(err error) int {
	if errors.Is(err, io.EOF) {
		return exitDone
	}
	fmt.Fprintf(stderr, "ri: a worker: %s\n", err.Error())
	return exitFailed
}
