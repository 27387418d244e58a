package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ri/attach"
	"ri/attach/process"
	"ri/change"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/probe/kernel"
	"ri/symbols/layouts"
)

// A check is one line of ri doctor.
type check struct {
	what   string
	state  string // ok, missing, limited, info
	detail string
}

// Doctor writes what ri can do here and what is missing; with a target, on that process, and if it is to compare,
// whether Delve reads there what ri reads. asker is who asks from afar, and what they may, "" where it is typed. It
// ends with ErrRefused if ri can't look at processes, or not at that one; with ErrFound if the two differ.
func Doctor(ctx context.Context, out *rows.Output, choice looks.TargetChoice, compare bool, how looks.Options,
	asker string) error {
	checks := machineChecks(process.Capabilities())
	canLook := checks[1].state == "ok" || checks[2].state == "ok"
	if asker != "" {
		checks = slices.Insert(checks, 0, check{"role", "info", asker})
	}
	var failed error
	if choice.Given() {
		var more []check
		more, failed = targetChecks(out, choice)
		checks = append(checks, more...)
		if failed = rows.Refused(failed); failed == nil && compare {
			more, failed = verify(ctx, out, choice, how)
			checks = append(checks, more...)
		}
	} else if compare {
		return rows.Usagef("--verify compares on a process: ri doctor --verify -p PID")
	} else if !canLook {
		failed = rows.Refused(errors.New("ri can't look at processes here; the lines above say what is missing"))
	}
	var list []rows.Row
	for _, c := range checks {
		list = append(list, rows.Of("check", c.what, "state", c.state, "detail", c.detail))
	}
	columns := []rows.Column{{Name: "check"}, {Name: "state"}, {Name: "detail"}}
	if err := out.WriteAdvice(columns, list); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return failed
}

func machineChecks(f process.Facts) []check {
	tried := func(what string, err error, ok, lack string) check {
		if err == nil {
			return check{what, "ok", ok}
		}
		return check{what, "missing", fmt.Sprintf("%v; %s", err, lack)}
	}
	checks := []check{
		{"kernel", "info", fmt.Sprintf("Linux %s, %s", f.KernelRelease, f.Machine)},
		tried("read memory", f.ProcessVMReadv, "process_vm_readv works", "a seccomp filter may forbid it"),
		tried("stop", f.Ptrace, "ptrace works on a child of ri",
			"only --view live and cores are left; a seccomp filter may forbid ptrace"),
		tried("/proc", f.ProcMatches, "shows ri's own pid namespace", "ri needs its own"),
		tried("writing", process.ProbeWrite(), "process_vm_writev works: changes can be made (--write)",
			"no change can be made; a seccomp filter may forbid process_vm_writev"),
		journalCheck(),
		userCheck(f),
		yamaCheck(f),
		probesCheck(kernel.Able()),
	}
	if f.Seccomp > 0 {
		checks = append(checks, check{"seccomp", "limited",
			"ri runs under a filter; docker run --security-opt seccomp=unconfined lifts it"})
	}
	if f.Container || f.Kubernetes || f.PIDNamespace {
		checks = append(checks, containerCheck(f))
	}
	return append(checks,
		tried("pidfd_getfd", f.PidfdGetfd, "connections can be ended", "needs Linux 5.6; ri run conn-reset can't work"),
		tried("PAGEMAP_SCAN", f.PagemapScan, "large snapshots can be copied ahead",
			"needs Linux 6.7; nothing here uses it yet"),
	)
}

// journalCheck says whether changes could be written down; without that none is made.
func journalCheck() check {
	path, err := change.DefaultJournal()
	if err != nil {
		return check{"journal", "missing", err.Error()}
	}
	if err := change.ProbeJournal(path); err != nil {
		return check{"journal", "missing", err.Error() + "; without a journal nothing is changed"}
	}
	return check{"journal", "ok", path}
}

func userCheck(f process.Facts) check {
	if f.CapSysPtrace {
		return check{"permission", "ok", fmt.Sprintf("user %s with CAP_SYS_PTRACE: processes of all users", f.User)}
	}
	return check{"permission", "limited", fmt.Sprintf("user %s without CAP_SYS_PTRACE: only this user's own processes. "+
		"For all: sudo ri ..., or sudo setcap cap_sys_ptrace+ep $(command -v ri)", f.User)}
}

// yamaCheck says what kernel.yama.ptrace_scope means for this user.
func yamaCheck(f process.Facts) check {
	what := fmt.Sprintf("kernel.yama.ptrace_scope = %d", f.YamaScope)
	switch {
	case f.YamaScope < 0:
		return check{"yama", "ok", "this kernel has no Yama"}
	case f.YamaScope == 0:
		return check{"yama", "ok", what}
	case f.YamaScope >= 3:
		return check{"yama", "missing", what +
			": nobody may attach until the next boot; set it to 2 or less in /etc/sysctl.d and reboot"}
	case f.CapSysPtrace:
		return check{"yama", "ok", what + ", which CAP_SYS_PTRACE passes"}
	}
	return check{"yama", "missing", what +
		": only one's own children, or with CAP_SYS_PTRACE. Run sudo ri ..., or until the next boot: sudo sysctl " +
		"kernel.yama.ptrace_scope=0"}
}

// probesCheck says whether ri could trace here.
func probesCheck(able kernel.Ability) check {
	switch able.Way {
	case kernel.Multi:
		return check{"probes", "ok", "uprobe_multi links, and their filter by process holds: ri trace works"}
	case kernel.Perf:
		return check{"probes", "limited", fmt.Sprintf("perf events only, for few places at a time: %s. %s", able.Why,
			able.Todo)}
	}
	return check{"probes", "missing", fmt.Sprintf("ri trace can't work: %s. %s", able.Why, able.Todo)}
}

// containerCheck says how to get at a process in a container.
func containerCheck(f process.Facts) check {
	detail := "ri runs in a container and sees the processes of its own pid namespace"
	switch {
	case f.Kubernetes:
		detail += ". To look into another container of a pod: kubectl debug -it POD --image=IMAGE-WITH-RI " +
			"--target=CONTAINER --profile=sysadmin " +
			"(or a profile that adds the capability SYS_PTRACE), then ri ps"
	default:
		detail += ". To look into another container: docker run -it --pid=container:NAME --cap-add SYS_PTRACE " +
			"IMAGE-WITH-RI, or run ri on the host"
	}
	state := "limited"
	if f.CapSysPtrace {
		state = "info"
	}
	return check{"container", state, detail}
}

// fragileCheck says what of a program may notice a stop.
func fragileCheck(calls map[string]int) check {
	total := 0
	var names []string
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		total += calls[call]
		names = append(names, fmt.Sprintf("%d in %s", calls[call], call))
	}
	return check{"C code", "info", fmt.Sprintf("%s in system calls that may return EINTR where the process is stopped to "+
		"change it, by ri core, or with --view stopped (%s); looks leave them asleep",
		rows.Plural(int64(total), "thread"), strings.Join(names, ", "))}
}

// targetChecks tries on one process all that doesn't stop it.
func targetChecks(out *rows.Output, choice looks.TargetChoice) ([]check, error) {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return []check{{"target", "missing", err.Error()}},
			errors.New("ri can't look at this process; the last line says why")
	}
	defer s.Close()
	out.Of = &rows.Result{Target: s.Info}
	checks := []check{{"target", "ok", fmt.Sprintf("%s: %s, %s", s.Target.Describe(), s.Info.GoVersion,
		s.Info.Executable)}}
	if note := layouts.ReleaseNote(s.Info.GoVersion); note != "" {
		checks = append(checks, check{"release", "info", note})
	}
	if err := s.File.NoDWARF(); err != nil {
		checks = append(checks, check{"symbols", "limited",
			err.Error() + ": variables and types can't be named; ri run buildinfo can tell what it was built from"})
	} else {
		checks = append(checks, check{"symbols", "ok",
			fmt.Sprintf("%s, %s", rows.Plural(int64(len(s.File.Vars())), "package variable"),
				rows.Plural(int64(len(s.File.TypeNames())), "type"))})
	}
	if p, ok := s.Target.(attach.Stoppable); ok {
		if err := p.CheckStop(); err != nil {
			return append(checks, check{"stop it", "missing", err.Error()}),
				errors.New("ri can look at this process only with --view live")
		}
		checks = append(checks, check{"stop it", "ok", "nobody traces it"})
	}
	if p, ok := s.Target.(attach.Interruptible); ok {
		if calls := p.Fragile(); len(calls) > 0 {
			checks = append(checks, fragileCheck(calls))
		}
	}
	if p, ok := s.Target.(attach.Injectable); ok {
		if err := p.PrepareInject(); err != nil {
			checks = append(checks, check{"change it", "limited",
				"all but new strings that need memory of their own: " + err.Error()})
		} else {
			checks = append(checks, check{"change it", "ok", "memory for new strings can be had too"})
		}
	}
	return checks, nil
}
