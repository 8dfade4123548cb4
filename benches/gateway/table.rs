//! One table of figures: medians, how far the runs lay apart, and what we aim at.

/// What was measured several times, in one unit.
#[derive(Clone)]
pub struct Runs(Vec<f64>);

impl Runs {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        assert!(!values.is_empty(), "nothing was measured");
        Self(values)
    }

    pub fn median(&self) -> f64 {
        let Self(values) = self;
        let middle = values.len() / 2;
        if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        }
    }

    fn min(&self) -> f64 {
        self.0[0]
    }

    fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

#[derive(Default)]
pub struct Table(Vec<[String; 6]>);

impl Table {
    pub fn heading(&mut self, text: &str) {
        self.0.push([text, "", "", "", "", ""].map(str::to_owned));
    }

    pub fn row(&mut self, what: &str, runs: &Runs, digits: usize, unit: &str, target: &str) {
        let shown = |value: f64| format!("{value:.digits$}");
        let apart = match runs.0.len() {
            1 => String::new(),
            runs => format!("{runs} runs"),
        };
        self.0.push([
            format!("  {what}"),
            format!("{} {unit}", shown(runs.median())),
            shown(runs.min()),
            shown(runs.max()),
            target.to_owned(),
            apart,
        ]);
    }

    pub fn print(&self) {
        let head = ["what", "median", "min", "max", "target", ""].map(str::to_owned);
        let rows: Vec<&[String; 6]> = std::iter::once(&head).chain(&self.0).collect();
        println!();
        for [what, median, min, max, target, apart] in rows {
            let line = format!("{what:<66}  {median:>14}  {min:>8}  {max:>8}  {target:>10}  {apart}");
            println!("{}", line.trim_end());
        }
        println!();
    }
}
