// Asks Go what templates render to, and prints the answers as the corpus of crates/gotemplate:
//
//	TZ=UTC go run . > ../../crates/gotemplate/tests/corpus/charts.json
//
// The templates are in templates/, one file for each group: of a .txt file every line is a template, in a .tmpl file a
// line of %% stands between them. They are rendered with data.json, decoded as Kubernetes decodes unstructured objects.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

type answer struct {
	Group    string  `json:"group"`
	Template string  `json:"template"`
	Out      *string `json:"out,omitempty"`
	Err      string  `json:"err,omitempty"`
}

type corpus struct {
	Note  string          `json:"note"`
	Data  json.RawMessage `json:"data"`
	Cases []answer        `json:"cases"`
}

func main() {
	raw, err := os.ReadFile("data.json")
	if err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob("templates/*")
	if err != nil {
		log.Fatal(err)
	}
	result := corpus{
		Note: "Made by tools/gotemplate with Go 1.26 text/template and Masterminds/sprig v3.3.0 in UTC. " +
			"'err' means that Go refused to parse or to render; its message is not compared.",
		Data: raw,
	}
	for _, file := range files {
		group, kind, _ := strings.Cut(filepath.Base(file), ".")
		text, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		separator := "\n"
		if kind == "tmpl" {
			separator = "\n%%\n"
		}
		for _, source := range strings.Split(strings.TrimSuffix(string(text), "\n"), separator) {
			result.Cases = append(result.Cases, ask(group, source, raw))
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(result); err != nil {
		log.Fatal(err)
	}
}

// ask renders with fresh data: templates change them with set and merge.
func ask(group, source string, raw []byte) answer {
	result := answer{Group: group, Template: source}
	var out bytes.Buffer
	parsed, err := template.New("t").Funcs(sprig.TxtFuncMap()).Parse(source)
	if err == nil {
		err = parsed.Execute(&out, decode(raw))
	}
	if err != nil {
		result.Err = err.Error()
		return result
	}
	text := out.String()
	result.Out = &text
	return result
}

func decode(raw []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var data any
	if err := decoder.Decode(&data); err != nil {
		log.Fatal(err)
	}
	return unstructured(data)
}

// unstructured makes whole numbers int64 and others float64.
func unstructured(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, _ := value.Float64()
		return float
	case []any:
		for i := range value {
			value[i] = unstructured(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = unstructured(value[key])
		}
	}
	return value
}
