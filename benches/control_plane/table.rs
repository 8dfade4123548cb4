//! Ours beside theirs: medians, and how many times better ours is in each pair.

use crate::bed::evidence::say;
use crate::runs::Runs;

/// What is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

#[derive(Default)]
pub struct Table(Vec<[String; 5]>);

impl Table {
    pub fn heading(&mut self, text: &str) {
        self.0.push([text, "", "", "", ""].map(str::to_owned));
    }

    /// `ours` and `theirs` of the same runs, in their order; `theirs` is empty where there is none.
    pub fn row(&mut self, what: &str, better: Better, unit: &str, ours: &[f64], theirs: &[f64]) {
        let median = |values: &[f64]| Runs::of(values.iter().copied()).median();
        let shown = |values: &[f64]| {
            if values.is_empty() {
                return "-".to_owned();
            }
            let value = median(values);
            let digits = match value {
                value if value >= 100.0 => 0,
                value if value >= 10.0 => 1,
                _ => 2,
            };
            format!("{value:.digits$} {unit}")
        };
        let times = |(ours, theirs): (&f64, &f64)| match better {
            Better::More => ours / theirs,
            Better::Less => theirs / ours,
        };
        let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(times).collect();
        ratios.sort_by(f64::total_cmp);
        let (ratio, apart) = match ratios.as_slice() {
            [] => (String::new(), String::new()),
            [one] => (format!("{one:.1}"), String::new()),
            [least, .., most] => (
                format!("{:.1}", median(&ratios)),
                format!("{least:.1} to {most:.1}"),
            ),
        };
        let row = [format!("  {what}"), shown(ours), shown(theirs), ratio, apart];
        // It takes minutes: who waits sees what there is so far.
        say(&line(&row));
        self.0.push(row);
    }

    pub fn print(&self) {
        let head = ["what", "ours", "theirs", "times", "in each pair"].map(str::to_owned);
        println!();
        for row in std::iter::once(&head).chain(&self.0) {
            println!("{}", line(row));
        }
        println!();
    }
}

fn line([what, ours, theirs, times, apart]: &[String; 5]) -> String {
    let line = format!("{what:<52}  {ours:>14}  {theirs:>14}  {times:>7}  {apart}");
    line.trim_end().to_owned()
}
