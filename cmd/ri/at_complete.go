package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/console"
	"ri/serve/method"
	"ri/serve/request"
)

// Completion of what is at an agent asks it what it answers anyway: ps, recipes, show. So it needs no other role than
// those, and shows no more.

// completing is how long an agent may take: who presses Tab waits for it.
const completing = 3 * time.Second

// atGiven is where the command line that is completed says that it is to be done, "": here.
func (o *options) atGiven() string { return cmp.Or(o.at, os.Getenv(atVariable)) }

// askWords reads the rows that an agent gives for a command into a list. Whatever fails, there is nothing to complete.
func askWords[T any](at string, list *[]T, asked request.Request) {
	place, err := method.Find(at)
	if err != nil || slices.ContainsFunc(place.Methods, func(m method.Method) bool { return m.Passive }) {
		return // an agent that calls home does so when it likes
	}
	if asked.Folder, err = os.Getwd(); err != nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), completing)
	defer stop()
	c, err := dialAgent(ctx, place, func(string) {})
	if err != nil {
		return
	}
	defer c.Close()
	for _, name := range []string{"ndjson", "quiet"} {
		asked.Flags = append(asked.Flags, request.Flag{Name: name, Value: "true"})
	}
	var out bytes.Buffer
	if _, err := c.Do(ctx, &asked, &out, io.Discard); err != nil {
		return
	}
	for d := json.NewDecoder(&out); ; {
		var row T
		if d.Decode(&row) != nil {
			return
		}
		*list = append(*list, row)
	}
}

// recipeWordsAt are the recipes of an agent, or the parameters of one.
func (o *options) recipeWordsAt(at, recipe string) (words []string) {
	var list []struct {
		Name, Title string
		Params      []console.Parameter
	}
	asked := request.Request{Command: []string{"recipes"}}
	if recipe != "" {
		asked.Command, asked.Args = []string{"show"}, []string{recipe}
	}
	for _, file := range o.recipes {
		asked.Flags = append(asked.Flags, request.Flag{Name: "recipes", Value: file})
	}
	askWords(at, &list, asked)
	for _, r := range list {
		if recipe == "" {
			words = append(words, r.Name+"\t"+r.Title)
			continue
		}
		for _, p := range r.Params {
			words = append(words, p.Words()...)
		}
	}
	return words
}

// completeHosts are the names of hosts.yaml.
func completeHosts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return method.Names(), cobra.ShellCompDirectiveNoFileComp
}
