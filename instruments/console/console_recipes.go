package console

import (
	"io"

	"ri/instruments/lang"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// RecipeNames are the recipes that fit the program.
func (c *Console) RecipeNames() (names []string) {
	for _, r := range c.catalogue.Recipes() {
		if script, err := r.Script(c.catalogue); err == nil && r.Mode == recipes.Read &&
			len(recipes.ScriptLacks(c.session.File, script)) == 0 {
			names = append(names, r.Name)
		}
	}
	return names
}

// ParameterWords are what can follow a recipe's name: NAME=, and NAME=VALUE where the values are few.
func ParameterWords(c *recipes.Catalogue, recipe string) (words []string) {
	r, err := recipes.FindRecipe(c, recipe)
	if err != nil {
		return nil
	}
	script, err := r.Script(c)
	if err != nil || script.Header == nil {
		return nil
	}
	for _, p := range script.Header.Params {
		words = append(words, Parameter{p.Name, p.Type, p.Values}.Words()...)
	}
	return words
}

// Parameter is what completion needs to know of one.
type Parameter struct {
	Name   string
	Type   lang.ParamType
	Values []string
}

// Words are what can stand for it.
func (p Parameter) Words() (words []string) {
	values := p.Values
	switch p.Type {
	case lang.ParamBool:
		values = []string{"true", "false"}
	case lang.ParamString:
		values = nil // which a part of is enough
	}
	if len(values) == 0 {
		return []string{p.Name + "="}
	}
	for _, v := range values {
		words = append(words, p.Name+"="+v)
	}
	return words
}

// WriteRecipes writes the recipes, those that fit the program first.
func (c *Console) WriteRecipes(w io.Writer, style rows.TableStyle) error {
	columns := []rows.Column{{Name: "name"}, {Name: "category"}, {Name: "title"}}
	var list []rows.Row
	for _, name := range c.RecipeNames() {
		r, err := c.catalogue.Recipe(name)
		if err != nil {
			continue
		}
		script, err := r.Script(c.catalogue)
		if err != nil {
			continue
		}
		list = append(list, rows.Of("name", name, "category", recipes.HeaderOf(script).Category,
			"title", r.TitleOr(script.Header)))
	}
	_, err := rows.WriteRows(w, columns, list, style)
	return err
}
