package report

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// Options says what goes into a report.
type Options struct {
	Path string   // a folder, or a file that ends in .html or .htm
	Only []string // recipes; none: all that fit
	Skip []string // recipes
	Look looks.Options
}

// ErrExists says that something is there already.
var ErrExists = errors.New("is there already")

// Write runs every reading recipe that fits on a target and writes the report. It is there whole or not at all. The
// error is instruments.ErrFound where a recipe found something, and instruments.ErrPartial where one of them could not
// finish.
func Write(ctx context.Context, out *rows.Output, c *recipes.Catalogue, choice looks.TargetChoice, opt Options) error {
	if err := opt.check(c); err != nil {
		return err
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	single := opt.single()
	folder, err := newPlace(opt.Path, single)
	if err != nil {
		return err
	}
	defer folder.Drop()

	bar := newBar(out)
	defer bar.end()
	page := newPage(s)
	began := time.Now()
	err = s.Every(ctx, c, opt.Look, opt.wants, bar.show, func(a looks.Attempt) error {
		if a.Result != nil {
			page.masked += mask(a.Result)
		}
		page.add(a)
		if a.Result != nil {
			for _, note := range a.Result.Notes {
				out.Log(a.Recipe.Name + ": " + note)
			}
		}
		if a.Result != nil && a.Result.Stats.BytesRead > muchRead {
			debug.FreeOSMemory() // what the next recipe needs is taken from the machine, not from what this one had
		}
		if single || a.Skipped != "" {
			return nil
		}
		return folder.addAttempt(a)
	})
	bar.end()
	if err != nil {
		return err
	}
	page.Took = time.Since(began)
	if err := folder.addPage(page); err != nil {
		return err
	}
	if err := folder.commit(); err != nil {
		return err
	}
	return conclude(out, page, opt.Path, single)
}

// single tells whether the report is one file.
func (o *Options) single() bool {
	ext := strings.ToLower(filepath.Ext(o.Path))
	return ext == ".html" || ext == ".htm"
}

func (o *Options) check(c *recipes.Catalogue) error {
	if o.Path == "" {
		return rows.Usagef("ri report writes files: name a folder or a page, -o report.html")
	}
	for _, name := range append(append([]string{}, o.Only...), o.Skip...) {
		if _, err := c.Recipe(name); err != nil {
			return rows.Usage(err)
		}
	}
	if _, err := os.Lstat(o.Path); err == nil {
		return rows.Usage(fmt.Errorf("-o %s: %w; name another, or move it away", o.Path, ErrExists))
	}
	return nil
}

func (o *Options) wants(r *recipes.Recipe) bool {
	for _, name := range o.Skip {
		if name == r.Name {
			return false
		}
	}
	for _, name := range o.Only {
		if name == r.Name {
			return true
		}
	}
	return len(o.Only) == 0
}

// conclude says what is there.
func conclude(out *rows.Output, p *page, path string, single bool) error {
	where := path
	if !single {
		where = filepath.Join(path, pageName)
	}
	failed := p.failed()
	out.Log(fmt.Sprintf("wrote %s: %d recipes ran, %d failed, %d don't apply; findings: %d", where,
		len(p.Sections)-failed, failed, len(p.Skipped), len(p.Findings)))
	for _, section := range p.Sections {
		if section.failed != "" {
			out.Log(fmt.Sprintf("  %s: %s", section.Name, section.failed))
		}
	}
	for _, f := range p.Findings {
		out.Log(fmt.Sprintf("  %s: %s", f.Severity, f.What))
	}
	out.Log(p.Cost())
	return rows.Said(p.ended())
}

// place is where a report grows, under another name than the one that was asked for.
type place struct {
	*rows.Temporary        // a folder, or the one file
	path            string // as asked for
	single          bool
}

func newPlace(path string, single bool) (*place, error) {
	path = filepath.Clean(path)
	temporary, err := rows.NewTemporary(path, !single)
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("-o %s: %w", path, rows.UnwrapPath(err)))
	}
	p := &place{temporary, path, single}
	if !single {
		err = os.Mkdir(filepath.Join(p.Path, recipesFolder), 0o700)
	}
	return p, err
}

// muchRead is how much a recipe copies that is worth the time of giving memory back.
const muchRead = 256 << 20

const (
	pageName      = "index.html"
	recipesFolder = "recipes"
)

// addAttempt writes a recipe's result as JSON and as text.
func (p *place) addAttempt(a looks.Attempt) error {
	name := filepath.Join(p.Path, recipesFolder, a.Recipe.Name)
	if a.Result == nil {
		text := fmt.Sprintf("not run: %v\nrecipe from %s\n", a.Err, a.Recipe.Source())
		return os.WriteFile(name+".txt", []byte(inert.Text(text)), 0o600)
	}
	text, err := a.Result.JSON()
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", text, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(name+".txt", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := inert.NewWriter(f)
	_, err = rows.WriteText(w, a.Result, rows.TableStyle{})
	if err == nil {
		_, err = fmt.Fprintf(w, "\n%s\nrecipe from %s\n", a.Result.Cost(), a.Recipe.Source())
	}
	for _, problem := range problems(a) {
		fmt.Fprintf(w, "%s\n", problem)
	}
	return errors.Join(err, f.Close())
}

func (p *place) addPage(page *page) error {
	file := p.Path
	if !p.single {
		file = filepath.Join(p.Path, pageName)
		if err := os.WriteFile(filepath.Join(p.Path, "findings.txt"), []byte(page.findingsText()), 0o600); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(page.write(f), f.Sync(), f.Close())
}

// commit gives the report its name. What came to be there meanwhile isn't replaced.
func (p *place) commit() error {
	if _, err := os.Lstat(p.path); err == nil {
		return rows.Usage(fmt.Errorf("-o %s: %w, since the report began", p.path, ErrExists))
	}
	if err := os.Rename(p.Path, p.path); err != nil {
		return fmt.Errorf("-o %s: %w", p.path, err)
	}
	return nil
}
