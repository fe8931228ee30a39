//! What the functions of a statement may make of it.
//!
//! Invariant (Q1): the engine counts the memory of sorts, joins and aggregates, not that of an
//! expression. So no call of a function makes more than [`CALL_BYTES_MAX`] out of its arguments, no
//! constant is larger than [`CONSTANT_BYTES_MAX`], and the constants of a row not larger than
//! [`ROW_CONSTANTS_BYTES_MAX`]: a constant is written out for each of the 8,192 rows of a batch.
//! A function whose result can be much larger than its arguments is in [`Cost::of`] or in [`REMOVED`].

mod concat;
mod cost;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use self::concat::Concat;
use self::cost::Cost;

/// Bytes that one call may make: 8 kB for each row of a batch.
const CALL_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one constant.
const CONSTANT_BYTES_MAX: usize = 64 << 10;
/// Bytes of the constants that are written out for each row.
const ROW_CONSTANTS_BYTES_MAX: usize = 128 << 10;

/// Functions that make lists or types of any size out of a number. Questions about a lake need none;
/// `generate_series` in FROM makes its rows one batch at a time and stays.
const REMOVED: &[&str] = &[
    "array_repeat",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_resize",
    "arrow_cast",
    "arrow_try_cast",
    "cast_to_type",
    "generate_series",
    "range",
    "try_cast_to_type",
];

/// Takes away what is in [`REMOVED`] and bounds what is in [`Cost::of`].
pub(crate) fn keep(mut context: SessionContext) -> Result<SessionContext, DataFusionError> {
    for name in REMOVED {
        context.deregister_udf(name);
    }
    let functions = context.state().scalar_functions().clone();
    for (name, function) in functions {
        // The others are aliases, and registered together with the name.
        if name == function.name()
            && let Some(bounded) = bounded(&function)
        {
            context.register_udf(ScalarUDF::clone(&bounded));
        }
    }
    context.register_function_rewrite(Arc::new(Rewrite))?;
    Ok(context)
}

fn bounded(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    if function.inner().downcast_ref::<Bounded>().is_some() {
        return None;
    }
    let cost = Cost::of(function.name())?;
    Some(Arc::new(ScalarUDF::from(Bounded { inner: Arc::clone(function), cost })))
}

/// Bounds the functions that the planner takes from elsewhere than the context (`[a, b]` and `||` of
/// lists), and makes a function of `||`.
#[derive(Debug)]
struct Rewrite;

impl FunctionRewrite for Rewrite {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn rewrite(
        &self,
        expr: Expr,
        _: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>, DataFusionError> {
        if let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr
            && let Some(func) = bounded(func)
        {
            let args = args.clone();
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = &expr {
            let func = Arc::new(ScalarUDF::from(Concat::new()));
            let func = bounded(&func).unwrap_or(func);
            let args = vec![Expr::clone(left), Expr::clone(right)];
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        Ok(Transformed::no(expr))
    }
}

/// A function that refuses to make too much.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    cost: Cost,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(
        &self,
        args: ReturnFieldArgs<'_>,
    ) -> Result<FieldRef, DataFusionError> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        if self.cost.may_exceed(&args.args, args.number_rows, CALL_BYTES_MAX)? {
            return Err(too_much(&format!("{} makes too much out of its arguments", self.name())));
        }
        let made = self.inner.invoke_with_args(args)?;
        match &made {
            ColumnarValue::Scalar(constant) => check_constant(constant).map(|_| made),
            ColumnarValue::Array(_) => Ok(made),
        }
    }
}

fn too_much(message: &str) -> DataFusionError {
    DataFusionError::ResourcesExhausted(message.to_owned())
}

fn check_constant(constant: &ScalarValue) -> Result<usize, DataFusionError> {
    let bytes = constant_bytes(constant);
    if CONSTANT_BYTES_MAX < bytes {
        let message = format!("a constant of more than {CONSTANT_BYTES_MAX} bytes");
        return Err(too_much(&message));
    }
    Ok(bytes)
}

/// Refuses a plan whose constants are too large to be written out for each row.
pub(crate) fn check_constants(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    plan.apply_with_subqueries(|node| {
        let mut of_row = 0;
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(constant, _) = part {
                    of_row += check_constant(constant)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if matches!(node, LogicalPlan::Projection(_)) && ROW_CONSTANTS_BYTES_MAX < of_row {
            let max = ROW_CONSTANTS_BYTES_MAX;
            return Err(too_much(&format!("more than {max} bytes of constants in each row")));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Bytes of the values alone.
pub(crate) fn bytes_of(array: &ArrayRef) -> usize {
    let data = array.to_data();
    data.get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no parts is small")]
fn constant_bytes(constant: &ScalarValue) -> usize {
    match constant {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => text.len(),
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => bytes.len(),
        ScalarValue::Dictionary(_, value) => constant_bytes(value),
        ScalarValue::List(list) => list.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
        ScalarValue::LargeList(list) => {
            list.to_data().get_slice_memory_size().unwrap_or(usize::MAX)
        }
        ScalarValue::Struct(parts) => parts.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
        ScalarValue::Map(map) => map.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
        _ => 16,
    }
}
