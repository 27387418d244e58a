package commands

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/serve/pki"
	"ri/serve/request"
)

// PKIInit makes a site's authority.
func PKIInit(out *rows.Output, dir, site string) error {
	if err := pki.Init(dir, site); err != nil {
		return rows.Refused(err)
	}
	out.Log(fmt.Sprintf("made an authority in %s: who has ca.key there can make anybody anything", dir))
	return out.Commit()
}

// PKIIssue gives out a certificate, into a file that only its owner may read.
func PKIIssue(out *rows.Output, dir string, w pki.Wish, agent bool, file string) error {
	switch {
	case agent == (w.Kind != ""):
		return rows.Usagef("say what %s is: --agent, or --role viewer, author, operator or tracer", rows.QuoteName(w.Name))
	case agent:
		w.Kind = pki.Agent
		if len(w.Hosts) == 0 {
			out.Log("no --host: whoever calls this agent finds no name of it in its certificate, so it can only call itself")
		}
	case w.Kind == pki.Tracer:
		if len(w.Hosts) == 0 {
			out.Log("no --host: whoever calls ri serve --rest by TLS finds no name of it in its certificate")
		}
	default:
		if _, err := request.ParseRole(w.Kind); err != nil {
			return rows.Usage(fmt.Errorf("--role: %w", err))
		}
		if len(w.Hosts) > 0 {
			return rows.Usagef("--host is of agents: nobody calls who asks by name")
		}
	}
	return issue(out, dir, file, w.Name, w.Life, func(a *pki.Authority) ([]byte, error) { return a.Issue(w) })
}

// PKIRenew gives out another certificate of the same holder.
func PKIRenew(out *rows.Output, dir, name string, life time.Duration, file string) error {
	return issue(out, dir, file, name, life, func(a *pki.Authority) ([]byte, error) { return a.Renew(name, life) })
}

func issue(out *rows.Output, dir, file, name string, life time.Duration,
	make func(*pki.Authority) ([]byte, error)) error {
	if file == "" || file == "-" {
		return rows.Usagef("a key isn't printed: name a file for it (-o %s.pem)", name)
	}
	if life <= 0 {
		return rows.Usagef("--for %s: must be more than 0", life)
	}
	a, err := pki.Open(dir)
	if err != nil {
		return rows.Refused(err)
	}
	to, err := rows.NewUnnamedFile(file)
	if err != nil {
		return rows.Usage(fmt.Errorf("-o %s: %w", file, rows.UnwrapPath(err)))
	}
	defer to.Drop()
	text, err := make(a)
	if err != nil {
		return rows.Refused(err)
	}
	if _, err := to.Write(text); err != nil {
		return fmt.Errorf("-o %s: %w", file, rows.UnwrapPath(err))
	}
	if err := errors.Join(to.Sync(), to.Replace(file)); err != nil {
		return fmt.Errorf("-o %s: %w", file, rows.UnwrapPath(err))
	}
	out.Log(fmt.Sprintf("wrote %s, with the key of %s; good until %s", file, name,
		time.Now().Add(life).Format("2006-01-02 15:04")))
	return out.Commit()
}

// PKIRevoke has a name's certificates refused.
func PKIRevoke(out *rows.Output, dir, name string) error {
	a, err := pki.Open(dir)
	if err != nil {
		return rows.Refused(err)
	}
	list, err := a.Revoke(name)
	if err != nil {
		return rows.Refused(err)
	}
	out.Log(fmt.Sprintf("revoked %s; agents refuse it once they have %s beside their own file (or by --crl), no restart "+
		"is needed", name, list))
	return out.Commit()
}

// PKIList lists what was given out.
func PKIList(out *rows.Output, dir string) error {
	a, err := pki.Open(dir)
	if err != nil {
		return rows.Refused(err)
	}
	all, err := a.List()
	if err != nil {
		return rows.Refused(err)
	}
	columns := []rows.Column{{Name: "name", Key: rows.KeyAlone},
		{Name: "is"}, {Name: "hosts"}, {Name: "until"}, {Name: "state"}}
	var list []rows.Row
	for _, one := range all {
		state := "good"
		switch {
		case one.Revoked:
			state = "revoked"
		case one.Until.Before(time.Now()):
			state = "expired"
		}
		list = append(list, rows.Of("name", one.Name, "is", one.Kind, "hosts", strings.Join(one.Hosts, ", "),
			"until", one.Until.UTC().Format(time.RFC3339), "state", state))
	}
	if err := out.WriteRows(columns, list); err != nil {
		return err
	}
	return out.Commit()
}
