package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/outside"
	"ri/serve"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// mostMiB is the most that a limit in MiB may be: as bytes it is a whole number of 64 bits.
const mostMiB = 1 << 40

// leastMonitor is the shortest interval of looks: each is a process of its own.
const leastMonitor = 100 * time.Millisecond

func newServe(o *options) *cobra.Command {
	remote, own, crl, tcpRole, all, disarm := "", "", "", "", false, false
	rest, page, as := "", "", ""
	db, sinks, labels := "", commands.FlowSinks{}, []string(nil)
	memory, output := int64(4<<10), int64(1<<10)
	agent := &serve.Agent{Version: commands.OwnVersion()}
	cmd := &cobra.Command{
		Use:   "serve [-p PID|--all] [--remote METHOD,...]",
		Short: "be an agent: do commands for those who ask from elsewhere and may",
		Long: `Be an agent: do what ri --at METHOD asks for from elsewhere, for those who may (docs/serving.md). It attaches
to nothing and holds nothing stopped while nobody asks. Each request is done by a process of its own, which sees what
the asker could trace, and is written down in requests.log in the agent's folder.

It speaks OVSDB (RFC 7047) as well: each Go process is a database, for ovsdb-client and the like (docs/ovsdb.md).

METHOD is punix:FILE, a socket for this machine, which is the default; pssl:[PORT][:IP], TLS 1.3 with certificates of
ri pki on both sides, which say who may what; ptcp:[PORT][:IP], plain TCP for this machine. With unix:FILE,
ssl:HOST[:PORT] or tcp:HOST[:PORT] the agent calls who asks. The port is 6640 if none is said.`,
		Example: `  ri serve
  ri serve --remote pssl:6640,punix:/run/ri/agent.sock --tls db7.pem
  ri serve --remote 'ssl:[fe80::1%eth0]:6640' --tls db7.pem
  ri serve --tls db7.pem --remote pssl: --db ssl:desk:6641 --labels env=prod,rack=7
  ri serve --rest pssl:8443 --tls rest.pem --db ssl:desk:6641
  ri serve --web ptcp:8080:127.0.0.1 --db ssl:desk:6641
  ri serve --disarm
  ri --at ssl:db7:6640 check -p 4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case page != "":
				return o.servePage(cmd, commands.PageChoice{DB: db, Methods: page}, own, as, crl)
			case rest != "":
				return o.serveRequests(cmd, rest, db, own, crl)
			case as != "":
				return rows.Usagef("--as says as whom --web asks agents")
			}
			if remote == "" {
				remote = "punix:" + method.DefaultSocket()
			}
			if cmd.Flags().Changed("at") {
				return rows.Usagef("ri serve is done on the machine of its agent: --at asks one, and neither makes nor ends it")
			}
			if agent.Methods, err = method.ParseList(remote); err != nil {
				return rows.Usage(err)
			}
			if agent.Folder == "" {
				agent.Folder = serve.DefaultFolder()
			}
			if agent.Folder, err = filepath.Abs(agent.Folder); err != nil {
				return err
			}
			if memory < 256 && memory != 0 || memory > mostMiB || output < 0 || output > mostMiB {
				return rows.Usagef("--max-memory is 256 or more, --max-output 0 or more, in MiB; 0: unlimited")
			}
			if agent.Rows < 0 {
				return rows.Usagef("--max-rows %d: it is 1 or more; 0: as many as a recipe says", agent.Rows)
			}
			agent.Memory, agent.Output = uint64(memory)<<20, output<<20
			if disarm {
				return o.withOutput(func(out *rows.Output) error {
					pid, err := serve.Disarm(cmd.Context(), agent.Folder)
					if err != nil {
						return rows.Refused(err)
					}
					if pid == 0 {
						out.Log("no agent has " + agent.Folder)
					} else {
						out.Log(fmt.Sprintf("the agent, pid %d, has ended, and with it all that it did", pid))
					}
					return out.Commit()
				})
			}
			if own != "" {
				if agent.Identity, err = pki.Load(own, crl); err != nil {
					return rows.Refused(err)
				}
				for path, at := range map[string]*string{own: &agent.Site.File, crl: &agent.Site.Revoked} {
					if path == "" {
						continue
					}
					if *at, err = filepath.Abs(path); err != nil { // its workers are elsewhere
						return err
					}
				}
			}
			if agent.Monitor != 0 && agent.Monitor < leastMonitor || agent.MonitorBudget < 0 {
				return rows.Usagef("--monitor is %v or more, --monitor-budget 0 or more", leastMonitor)
			}
			if tcpRole != "" {
				if agent.TCPRole, err = request.ParseRole(tcpRole); err != nil {
					return rows.Usage(err)
				}
				if agent.TCPRole > request.Viewer {
					return rows.Usagef("--tcp-role %s: nobody knows who asks by plain TCP, so that is viewer at most", tcpRole)
				}
			}
			if o.target.PID != "" {
				pid, err := looks.Find(o.target.PID)
				if err != nil {
					return err
				}
				agent.Only = []string{strconv.Itoa(pid)}
			}
			for _, power := range agent.Allow {
				if strings.Contains(power, "=") {
					continue
				}
				if !slices.Contains(request.PowerNames, power) {
					return rows.Usagef("--allow %s: there are %s, http=HOST:PORT, file=FOLDER and ovsdb=METHOD",
						rows.QuoteName(power), strings.Join(request.PowerNames, ", "))
				}
			}
			if _, err := outside.Parse(request.Outside(agent.Allow), site(own, crl)); err != nil {
				return rows.Usage(fmt.Errorf("--allow: %w", err))
			}
			if all && agent.Only != nil {
				return rows.Usagef("-p and --all exclude each other")
			}
			agent.Say = o.remarks().Log
			if db == "" && sinks != (commands.FlowSinks{}) {
				return rows.Usagef("--otlp and --journald give away the flows that a fleet's requests follow: --db METHOD says " +
					"where it is")
			}
			if db == "" && len(labels) > 0 {
				return rows.Usagef("--labels are of an agent in a fleet: --db METHOD says where that is")
			}
			if db != "" {
				named, err := commands.FleetLabels(labels)
				if err == nil {
					err = commands.JoinFleet(agent, db, named, sinks)
				}
				if err != nil {
					return err
				}
			}
			return rows.Refused(agent.Serve(cmd.Context()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&remote, "remote", "", "where to listen, or whom to call, `METHOD,...` (default: punix:ri/agent.sock in "+
		"$XDG_RUNTIME_DIR)")
	f.StringVar(&own, "tls", "", "the agent's certificate, key and authority, `FILE` (ri pki issue NAME --agent)")
	f.StringVar(&crl, "crl", "", "what was revoked, `FILE`, read again when it changes (default: crl.pem beside --tls)")
	f.StringVar(&tcpRole, "tcp-role", "", "what whoever comes by plain TCP may, `ROLE` viewer (default: nothing)")
	f.BoolVar(&agent.Insecure, "insecure-tcp", false, "let plain TCP be reached from other machines")
	o.addProcess(f)
	f.Lookup("pid").Usage = "answer for process `PID` alone"
	f.BoolVar(&all, "all", false, "answer for all processes that can be seen from here (the default)")
	f.StringSliceVar(&agent.Allow, "allow", nil, "powers that reach outside of a process, `NAMES`, for those who come "+
		"from other machines (dlv), and what scripts may reach: http=HOST:PORT, file=FOLDER, ovsdb=METHOD")
	f.DurationVar(&agent.StopBudget, "stop-budget", 10*time.Second,
		"for how long who asks may hold a process stopped in a minute, `DURATION`; 0: unlimited")
	f.DurationVar(&agent.Monitor, "monitor", 0,
		"let monitors of OVSDB look at processes, every `DURATION` at most (default: they are refused)")
	f.DurationVar(&agent.MonitorBudget, "monitor-budget", 600*time.Millisecond,
		"for how long monitors may hold a process stopped in a minute, `DURATION`; 0: unlimited")
	f.Int64Var(&memory, "max-memory", memory, "how much memory a request may take, `MIB`; 0: unlimited")
	f.Int64Var(&output, "max-output", output, "how much a request may print, `MIB`; 0: unlimited")
	f.IntVar(&agent.Rows, "max-rows", 0, "the most rows that a script may give, `N`; 0: as many as its recipe says")
	f.BoolVar(&disarm, "disarm", false, "end the agent that has the folder, and all that it does")
	f.StringVar(&db, "db", "", "register in the database of a fleet, `METHOD,...` of its servers (docs/fleet.md)")
	f.StringVar(&rest, "rest", "", "be no agent, and serve requests for traces of a fleet over HTTP at `METHOD,...` "+
		"(docs/flows.md)")
	f.StringVar(&page, "web", "", "be no agent, and serve a page to watch a fleet by, at `METHOD,...`: "+
		"ptcp:PORT:127.0.0.1, pssl:PORT (docs/page.md)")
	f.StringVar(&as, "as", "", "with --web: ask agents as whom a certificate names, `FILE`; for others a viewer")
	f.StringVar(&sinks.OTLP, "otlp", "", "give flows as spans to a receiver of OTLP, `URL` (docs/flows.md)")
	f.BoolVar(&sinks.Journald, "journald", false, "give flows to systemd's journal, too")
	f.StringSliceVar(&labels, "labels", nil, "what the host is known by in the fleet, `NAME=VALUE,...`")
	f.StringVar(&agent.Folder, "folder", "", "where all is that the agent writes, `FOLDER`")
	return cmd
}

// noAgent refuses flags that are an agent's, where something else is served.
func noAgent(cmd *cobra.Command, what string) error {
	for _, name := range []string{"remote", "labels", "otlp", "journald", "pid", "all", "allow", "disarm", "tcp-role",
		"insecure-tcp", "monitor", "folder"} {
		if cmd.Flags().Changed(name) {
			return rows.Usagef("--%s is of agents, and with --%s this is none: start another ri serve for it", name, what)
		}
	}
	return nil
}

// serveRequests serves requests for traces, which is another thing than an agent.
func (o *options) serveRequests(cmd *cobra.Command, rest, db, own, crl string) error {
	if err := noAgent(cmd, "rest"); err != nil {
		return err
	}
	if db == "" {
		db = os.Getenv(dbVariable)
	}
	if own == "" {
		return rows.Usagef("--rest signs what it enables: --tls FILE (ri pki issue NAME --role tracer makes one)")
	}
	identity, err := pki.Load(own, crl)
	if err != nil {
		return rows.Refused(err)
	}
	return commands.ServeRequests(cmd.Context(), o.remarks(), db, rest, identity)
}

// servePage serves the page by which a fleet is watched.
func (o *options) servePage(cmd *cobra.Command, choice commands.PageChoice, own, as, crl string) (err error) {
	if err := noAgent(cmd, "web"); err != nil {
		return err
	}
	if cmd.Flags().Changed("rest") {
		return rows.Usagef("--web serves requests as well, at the same place: leave out --rest")
	}
	if choice.DB == "" {
		choice.DB = os.Getenv(dbVariable)
	}
	load := ownIdentity
	if crl != "" && own != "" {
		load = func(path string) (*pki.Identity, error) { return pki.Load(path, crl) }
	}
	if choice.Own, err = load(own); err != nil {
		return rows.Refused(err)
	}
	if as != "" {
		if choice.As, err = load(as); err != nil {
			return rows.Refused(err)
		}
	}
	c, err := o.catalogue()
	if err != nil {
		return err
	}
	return commands.ServePage(cmd.Context(), o.remarks(), c, choice)
}
